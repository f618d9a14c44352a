"""Counts what the event log says: totals of tenants, and times of workflows by the minute."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from engine.states import TaskEventKind, TenantMetric, Timed
from engine.store import figures
from engine.store.figures import NO_WORKFLOW, SUM, Gathered, ToldApart, TotalKey
from engine.store.query import Operation, fetch, fetch_all, fetch_last

WORKFLOWS_TOLD_APART = 100
"""Of one tenant, in what monitoring systems are told; the others have one total together."""
_MINUTE = timedelta(minutes=1)

_METRICS: Mapping[TaskEventKind, TenantMetric] = {
    TaskEventKind.QUEUED: TenantMetric.CREATED,
    TaskEventKind.RETRYING: TenantMetric.RETRIED,
    TaskEventKind.FINISHED: TenantMetric.SUCCEEDED,
    TaskEventKind.SKIPPED: TenantMetric.SKIPPED,
    TaskEventKind.CANCELLED: TenantMetric.CANCELLED,
    TaskEventKind.SCHEDULING_TIMED_OUT: TenantMetric.SCHEDULING_TIMED_OUT,
    TaskEventKind.REQUEUED_RATE_LIMIT: TenantMetric.RATE_LIMITED,
    TaskEventKind.ASSIGNED: TenantMetric.FIRST_ASSIGNED,
    TaskEventKind.FAILED: TenantMetric.FAILED,
    TaskEventKind.TIMED_OUT: TenantMetric.FAILED,
    TaskEventKind.REASSIGNED: TenantMetric.FAILED,
    TaskEventKind.COULD_NOT_SEND_TO_WORKER: TenantMetric.FAILED,
}
"""What an event that counts once adds to."""
_ALWAYS: Mapping[TaskEventKind, TenantMetric] = {
    TaskEventKind.ASSIGNED: TenantMetric.ASSIGNED,
    TaskEventKind.REASSIGNED: TenantMetric.REASSIGNED,
    TaskEventKind.COULD_NOT_SEND_TO_WORKER: TenantMetric.REASSIGNED,
}


class Counted(NamedTuple):
    """What was added to the totals, up to when; `is_behind`: there is more that could be counted."""

    until: datetime
    totals: Mapping[TotalKey, float]
    is_behind: bool


def count_events(settled_until: datetime, *, at_least: timedelta) -> Operation[Counted | None]:
    """Count on from where it was left, for up to a minute, unless another engine does.

    `settled_until`: what is written with older ids is there by now. None: it was not worth it yet, which it is
    when there is a time of `at_least` to count.
    """
    found = yield from fetch(figures.claim())
    if not found:
        yield from fetch(figures.begin(settled_until))
        return None
    position, oldest_open = found[0]
    end = min(settled_until, oldest_open or settled_until)
    if end - position < at_least:
        return None
    minute = position.replace(second=0, microsecond=0)
    until = min(minute + _MINUTE, _to_the_millisecond(end))
    gathered = yield from fetch(figures.gather(position, until))
    timed = [row for row in gathered if row.timed is not None]
    apart = yield from _told_apart(timed)
    totals = totals_of(gathered, apart)
    queries = [figures.advance(until)]
    if totals:
        queries.append(figures.add_totals(totals))
    if timed:
        queries.append(figures.add_timings(minute, _by_bucket(timed)))
    yield from fetch_last(*queries)
    return Counted(until, totals, is_behind=end - until >= at_least)


def _to_the_millisecond(moment: datetime) -> datetime:
    """Ids are no finer than that."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _told_apart(timed: Sequence[Gathered]) -> Operation[Collection[ToldApart]]:
    """Return the workflows among these whose runs have totals of their own: the first that came."""
    ended = (row for row in timed if row.timed == Timed.RUN)
    seen = sorted({ToldApart(row.tenant_id, row.workflow_id) for row in ended})
    if not seen:
        return ()
    known = set((yield from fetch(figures.told_apart({each.tenant_id for each in seen}))))
    taken = Counter(each.tenant_id for each in known)
    for each in seen:
        if each not in known and taken[each.tenant_id] < WORKFLOWS_TOLD_APART:
            known.add(each)
            taken[each.tenant_id] += 1
    return known


def totals_of(
    gathered: Sequence[Gathered], apart: Collection[ToldApart]
) -> Mapping[TotalKey, float]:
    """Return what is to be added to the totals of tenants."""
    totals: dict[TotalKey, float] = defaultdict(float)
    for row in gathered:
        if row.timed is None:
            kind = TaskEventKind(row.kind)
            if row.counts_once and kind in _METRICS:
                totals[TotalKey(row.tenant_id, _METRICS[kind])] += row.number
            if kind in _ALWAYS:
                totals[TotalKey(row.tenant_id, _ALWAYS[kind])] += row.number
        elif row.timed == Timed.QUEUE:
            key = TotalKey(row.tenant_id, TenantMetric.QUEUE_SECONDS, bucket=row.scraped_bucket)
            totals[key] += row.number
            totals[key._replace(bucket=SUM)] += row.seconds
        else:
            is_apart = ToldApart(row.tenant_id, row.workflow_id) in apart
            workflow_id = row.workflow_id if is_apart else NO_WORKFLOW
            key = TotalKey(
                row.tenant_id,
                TenantMetric.RUN_MILLISECONDS,
                workflow_id,
                row.status,
                row.scraped_bucket,
            )
            totals[key] += row.number
            totals[key._replace(bucket=SUM)] += row.seconds * 1000
    return totals


def _by_bucket(timed: Sequence[Gathered]) -> list[Gathered]:
    """Return one row a bucket, whatever the status runs ended in."""
    summed: dict[tuple[UUID, UUID, int | None, int], Gathered] = {}
    for row in timed:
        key = row.tenant_id, row.version_id, row.timed, row.bucket
        known = summed.get(key)
        summed[key] = (
            row
            if known is None
            else known._replace(
                number=known.number + row.number, seconds=known.seconds + row.seconds
            )
        )
    return list(summed.values())


def clean_figures(merged_before: datetime, kept_since: datetime, at_most: int) -> Operation[bool]:
    """Make hours of minutes and drop what is old, some at a time; True: there may be more."""
    merged, expired, _ = yield from fetch_all(
        figures.merge_hour(merged_before),
        figures.expire_timings(kept_since, at_most),
        figures.forget_workflows(),
    )
    return bool(merged) or len(expired) == at_most
