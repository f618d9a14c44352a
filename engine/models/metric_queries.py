"""Counts of runs over time, from the per-minute tally wherever whole minutes are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, DateTimeField, Func, QuerySet, Sum, Value

from engine.ids import id_at
from engine.models.runs import Run, RunTally, Task
from engine.states import Status

MINUTE = timedelta(minutes=1)


def exact_status_counts(
    tenant_id: UUID,
    *,
    since: datetime,
    until: datetime | None,
    workflow_ids: Sequence[UUID] = (),
) -> dict[Status, int]:
    """Count runs created from `since` to `until`, both included.

    Whole minutes come from the tally; only the broken minutes at both ends are counted from runs.
    """
    runs = Run.objects.filter(tenant_id=tenant_id)
    tally = RunTally.objects.filter(tenant_id=tenant_id)
    if workflow_ids:
        runs = runs.filter(workflow_id__in=workflow_ids)
        tally = tally.filter(workflow_id__in=workflow_ids)
    first = _minute_of(since) if since == _minute_of(since) else _minute_of(since) + MINUTE
    if until is None:
        return _sum(_from_tally(tally.filter(minute__gte=first)), _from_runs(runs, since, first))
    last = _minute_of(until)
    if last <= first:
        return _from_runs(runs, since, until, is_open=False)
    whole = tally.filter(minute__gte=first, minute__lt=last)
    return _sum(
        _from_tally(whole),
        _from_runs(runs, since, first),
        _from_runs(runs, last, until, is_open=False),
    )


def count_by_status(runs: QuerySet[Run]) -> dict[Status, int]:
    rows = runs.order_by().values_list("status").annotate(number=Count("id"))
    return {Status(status): number for status, number in rows}


def outcomes_by_bucket(
    tenant_id: UUID,
    since: datetime,
    until: datetime,
    width: timedelta,
    workflow_ids: Sequence[UUID] = (),
) -> dict[tuple[datetime, Status], int]:
    """Count runs by the bucket of their creation (aligned to `since`) and their status."""
    tally = RunTally.objects.filter(tenant_id=tenant_id, minute__gte=since, minute__lte=until)
    if workflow_ids:
        tally = tally.filter(workflow_id__in=workflow_ids)
    rows = (
        tally.values_list(_bucket("minute", since, width), "status")
        .annotate(number=Sum("delta"))
        .order_by()
    )
    return {(at, Status(status)): number for at, status, number in rows}


def _bucket(column: str, since: datetime, width: timedelta) -> Func:
    """When the bucket begins that a moment falls into; they are aligned to `since`."""
    return Func(
        Value(width),
        column,
        Value(since, output_field=DateTimeField()),
        function="date_bin",
        output_field=DateTimeField(),
    )


def queued_by_action(tenant_id: UUID) -> dict[str, int]:
    """How many tasks wait for a worker, by action; those in a back-off do not wait for one."""
    rows = Task.objects.filter(tenant_id=tenant_id, status=Status.QUEUED, is_delayed=False)
    return dict(rows.order_by().values_list("action_id").annotate(number=Count("id")))


def _from_tally(tally: QuerySet[RunTally]) -> dict[Status, int]:
    rows = tally.order_by().values_list("status").annotate(number=Sum("delta"))
    return {Status(status): number for status, number in rows}


def _from_runs(
    runs: QuerySet[Run], since: datetime, until: datetime, *, is_open: bool = True
) -> dict[Status, int]:
    """Count from the rows; ids bound the search, with slack for clocks that made id and time apart."""
    if since > until:
        return {}
    end = {"created_at__lt": until} if is_open else {"created_at__lte": until}
    bounded = runs.filter(
        id__gte=id_at(since - MINUTE), id__lt=id_at(until + MINUTE), created_at__gte=since, **end
    )
    return count_by_status(bounded)


def _sum(*parts: dict[Status, int]) -> dict[Status, int]:
    return {status: sum(part.get(status, 0) for part in parts) for status in Status}


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
