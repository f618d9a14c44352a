"""Counts what tenants take against their limits, where this installation enforces any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from engine.operations.parts.plan_runs import PlannedRun
from engine.store import resource_limits
from engine.store.query import Operation, Query, fetch, fetch_all
from tenants.limits import enforced
from tenants.resources import Resource

SILENT = timedelta(seconds=30)
"""After so long without a heartbeat a worker is none."""

Count = Callable[[UUID, datetime], Query[int]]

_counts: dict[Resource, Count] = {
    Resource.CRON: lambda tenant_id, _: resource_limits.count_crons(tenant_id),
    Resource.SCHEDULE: lambda tenant_id, _: resource_limits.count_schedules(tenant_id),
    Resource.WORKER: lambda tenant_id, now: resource_limits.count_workers(tenant_id, now - SILENT),
    Resource.WORKER_SLOT: lambda tenant_id, now: resource_limits.count_slots(
        tenant_id, now - SILENT
    ),
    Resource.API_TOKEN: resource_limits.count_tokens,
}


def add_count(resource: Resource, count: Count) -> None:
    """Say how something of an app above the engine is counted."""
    _counts[resource] = count


def counts() -> Mapping[Resource, Count]:
    """How much there is of what is not taken within a window."""
    return _counts


def taking(resource: Resource, amounts: Mapping[UUID, int], now: datetime) -> list[Query[Any]]:
    """Return what takes so much for each tenant, or refuses all that is done in the transaction."""
    limit = enforced().get(resource)
    if limit is None or not amounts:
        return []
    return [resource_limits.take(resource, limit, amounts, now)]


def taking_runs(planned: Sequence[PlannedRun], now: datetime) -> list[Query[Any]]:
    """The same for all tasks of new runs."""
    if Resource.TASK_RUN not in enforced():
        return []
    amounts: Counter[UUID] = Counter()
    for item in planned:
        amounts[item.run.tenant_id] += len(item.tasks) + len(item.waiting)
    return taking(Resource.TASK_RUN, amounts, now)


def hold(tenant_id: UUID, resource: Resource, amount: int, now: datetime) -> Operation[None]:
    """Refuse what was just added if there is too much of it now: LimitReached, and it is undone."""
    limit = enforced().get(resource)
    if limit is None or not amount:
        return
    count = _counts[resource](tenant_id, now)
    _, (value,) = yield from fetch_all(resource_limits.lock(tenant_id, resource), count)
    held = resource_limits.hold(tenant_id, resource, value=value, amount=amount, most=limit.value)
    yield from fetch(held)
