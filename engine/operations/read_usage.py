"""How much a tenant has of what it may have only so much of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from engine.operations.parts.count_usage import counts
from engine.store import resource_limits
from engine.store.query import Operation, fetch_all
from engine.store.resource_limits import LimitRow
from tenants.limits import enforced
from tenants.resources import Limit, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """`since` is when the window began, if something was taken in one that is not over."""

    resource: Resource
    most: int
    alarm: int
    value: int
    window_seconds: int | None
    since: datetime | None

    @property
    def is_near(self) -> bool:
        return self.value >= self.alarm

    @property
    def is_reached(self) -> bool:
        return self.value >= self.most


def read_usage(tenant_id: UUID, now: datetime) -> Operation[list[Usage]]:
    """Return it for all that is enforced, in the order of `Resource`."""
    limits = enforced()
    if not limits:
        return []
    counted = [resource for resource in limits if resource in counts()]
    rows, *found = yield from fetch_all(
        resource_limits.rows(tenant_id),
        *(counts()[resource](tenant_id, now) for resource in counted),
    )
    row_of: dict[str, LimitRow] = {row.resource: row for row in rows}
    count_of = {resource: count for resource, (count,) in zip(counted, found, strict=True)}
    return [
        _usage(resource, limit, row_of.get(resource), count_of.get(resource), now)
        for resource, limit in limits.items()
    ]


def _usage(
    resource: Resource, limit: Limit, row: LimitRow | None, count: int | None, now: datetime
) -> Usage:
    most, alarm = limit.value, limit.alarm
    if row is not None and row.limit_value is not None:
        most = row.limit_value
        alarm = most if row.alarm_value is None else row.alarm_value
    since = None
    if row is not None and row.window_began_at is not None and limit.window_seconds is not None:
        is_open = now < row.window_began_at + timedelta(seconds=limit.window_seconds)
        since = row.window_began_at if is_open else None
    taken = row.value if row is not None and since is not None else 0
    return Usage(
        resource=resource,
        most=most,
        alarm=alarm,
        value=taken if count is None else count,
        window_seconds=limit.window_seconds,
        since=since,
    )
