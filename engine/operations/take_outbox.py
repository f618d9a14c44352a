"""Carries out what other programs asked for in their own transactions, once those have committed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from engine.errors import NotFound
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.parts.plan_runs import plan_new_run
from engine.operations.parts.versions import load_versions
from engine.operations.push_events import PushedEvents, push_calls, records_of
from engine.operations.report_tasks import report_tasks
from engine.operations.trigger_runs import insert_new_runs
from engine.states import OutboxKind, Status
from engine.store import outbox, schedules, workflows
from engine.store.changes import Changes
from engine.store.outbox import Refused, Wish
from engine.store.query import Operation, fetch, fetch_all, fetch_last, repeatable
from engine.types import EventInput, ReportKind, TaskReport, TriggerRequest

MOST_OF_EACH = 500
"""Rows of one tenant taken at once."""
MOST_ROWS = 2_000
"""Rows of all tenants taken at once."""
MOST_WOKEN = 10_000
"""Rows that waited and become ready at once."""
MOST_BYTES = 16 * 1024 * 1024
"""What rows taken at once hold together, unless a single one holds more."""
AGAIN_AFTER = timedelta(seconds=1)
"""A completion whose task waits for its next attempt is tried again so much later."""

Refusals = list[tuple[UUID, str]]


class Taken(NamedTuple):
    """How many rows were looked at, and those of them that could not be carried out.

    `next_due_at` is when the next of those that wait will be ready.
    """

    rows: int
    refused: list[Refused]
    has_more: bool
    next_due_at: datetime | None


@repeatable
def take_outbox(
    now: datetime,
    ids: Sequence[UUID] | None = None,
    *,
    only: UUID | None = None,
    but: Collection[UUID] = (),
) -> Operation[Taken]:
    """Carry out the next rows of each tenant, or of them these `ids`, in the order they were asked for.

    Those whose time has come are ready for the next turn.

    Rows of one kind that follow each other are carried out together. `only` and `but` choose tenants.
    """
    claim = outbox.claim(MOST_OF_EACH, MOST_ROWS, only=only, but=but)
    claimed, [woken] = yield from fetch_all(
        claim if ids is None else outbox.claim_of(ids), outbox.wake(now, MOST_WOKEN)
    )
    wishes = yield from _with_data(_first_bytes(claimed))
    is_cut = len(claimed) >= MOST_OF_EACH or len(wishes) < len(claimed)
    has_more = is_cut or woken.rows > 0
    if not wishes:
        return Taken(0, [], has_more, woken.next_due_at)
    refusals: Refusals = []
    for kind, alike in groupby(wishes, attrgetter("kind")):
        refusals += yield from _CARRY_OUT[OutboxKind(kind)](list(alike), now)
    refused = (yield from fetch(outbox.refuse(refusals, now))) if refusals else []
    left = {row.id for row in refused}
    done = [wish.id for wish in wishes if wish.id not in left]
    yield from fetch_last(outbox.remove_ready(done))
    return Taken(len(wishes), refused, has_more, woken.next_due_at)


def _first_bytes(claimed: Sequence[Wish]) -> list[Wish]:
    chosen: list[Wish] = []
    size = 0
    for wish in sorted(claimed, key=attrgetter("id")):
        size += wish.size
        if chosen and size > MOST_BYTES:
            break
        chosen.append(wish)
    return chosen


def _with_data(wishes: Sequence[Wish]) -> Operation[Sequence[Wish]]:
    large = [wish.id for wish in wishes if wish.size > outbox.SMALL]
    if not large:
        return wishes
    data_of = {row.id: row.data for row in (yield from fetch(outbox.read(large)))}
    return [wish._replace(data=data_of.get(wish.id, wish.data)) for wish in wishes]


def set_wish_aside(wish_id: UUID, cause: str, now: datetime) -> Operation[list[Refused]]:
    """Write down why a row cannot be carried out."""
    return (yield from fetch(outbox.refuse([(wish_id, cause)], now)))


def retry_wish(tenant_id: UUID, wish_id: UUID) -> Operation[None]:
    """Have a row that could not be carried out tried again. NotFound: there is none."""
    if not (yield from fetch(outbox.retry(tenant_id, wish_id))):
        raise NotFound("there is no such row that could not be carried out")
    yield Changes(outboxes={tenant_id})


def dismiss_wish(tenant_id: UUID, wish_id: UUID) -> Operation[None]:
    """Forget a row that could not be carried out. NotFound: there is none."""
    if not (yield from fetch(outbox.dismiss(tenant_id, wish_id))):
        raise NotFound("there is no such row that could not be carried out")


def _by_tenant(wishes: Sequence[Wish]) -> Mapping[UUID, list[Wish]]:
    found: dict[UUID, list[Wish]] = defaultdict(list)
    for wish in wishes:
        found[wish.tenant_id].append(wish)
    return dict(sorted(found.items()))


def _request(wish: Wish) -> TriggerRequest:
    return TriggerRequest(
        workflow_name=wish.name,
        input=bytes(wish.data or b"{}"),
        additional_metadata=wish.metadata.encode() if wish.metadata else None,
        priority=wish.priority,
    )


def _enqueue(wishes: Sequence[Wish], now: datetime) -> Operation[Refusals]:
    versions = yield from load_versions({wish.version_id for wish in wishes if wish.version_id})
    planned = [
        plan_new_run(_request(wish), versions[wish.version_id], run_id=wish.id)
        for wish in wishes
        if wish.version_id
    ]
    refusals = [(wish.id, _unknown(wish)) for wish in wishes if not wish.version_id]
    if not planned:
        return refusals
    inserted = yield from insert_new_runs(planned, now)
    refusals += [(item.run.id, item.problem) for item in planned if item.problem]
    return refusals + [
        (run_id, f"its idempotency key is held by the run {holder}")
        for run_id, holder in inserted.collisions.items()
    ]


def _unknown(wish: Wish) -> str:
    return f'workflow "{wish.name}" is not known'


def _push(wishes: Sequence[Wish], now: datetime) -> Operation[Refusals]:
    calls = []
    for tenant_id, listed in _by_tenant(wishes).items():
        inputs = [
            EventInput(
                key=wish.name,
                payload=bytes(wish.data or b"{}"),
                additional_metadata=wish.metadata.encode() if wish.metadata else None,
                priority=wish.priority,
                scope=wish.scope,
            )
            for wish in listed
        ]
        records = records_of(inputs, [wish.id for wish in listed], now)
        calls.append(PushedEvents(tenant_id, inputs, records))
    yield from push_calls(calls, now, is_last=False)
    return []


def _schedule(wishes: Sequence[Wish], now: datetime) -> Operation[Refusals]:
    refusals = []
    for wish in wishes:
        found = yield from fetch(workflows.latest(wish.tenant_id, wish.name))
        if not found or wish.trigger_at is None:
            refusals.append((wish.id, _unknown(wish)))
            continue
        times = [(wish.id, wish.trigger_at)]
        workflow_id = found[0].workflow_id
        yield from fetch(schedules.insert(wish.tenant_id, workflow_id, _request(wish), times, now))
    tenants = {wish.tenant_id for wish in wishes}
    yield Changes(timetables=tenants, pages={(tenant_id, "schedules") for tenant_id in tenants})
    return refusals


def _cancel(wishes: Sequence[Wish], now: datetime) -> Operation[Refusals]:
    """What nothing has been made of yet is withdrawn; ids that nobody has are nothing to cancel."""
    targets = [(wish.target_id, wish.tenant_id) for wish in wishes if wish.target_id]
    yield from fetch(outbox.withdraw(targets))
    for tenant_id, listed in _by_tenant(wishes).items():
        ids = sorted({wish.target_id for wish in listed if wish.target_id})
        deleted = yield from fetch(schedules.delete(tenant_id, ids))
        if deleted:
            yield Changes(timetables={tenant_id}, pages={(tenant_id, "schedules")})
        yield from cancel_tasks(tenant_id, ids, now)
    return []


def _complete(wishes: Sequence[Wish], now: datetime) -> Operation[Refusals]:
    """Complete the tasks, whichever attempt is under way by now: what was to be done has been committed."""
    reports = [
        TaskReport(
            wish.tenant_id, wish.target_id, ReportKind.COMPLETED, payload=bytes(wish.data or b"{}")
        )
        for wish in wishes
        if wish.target_id
    ]
    yield from report_tasks(reports, now)
    pairs = [(report.task_id, report.tenant_id) for report in reports]
    status_of = {row.id: Status(row.status) for row in (yield from fetch(outbox.statuses(pairs)))}
    refusals, later = [], []
    for wish in wishes:
        status = status_of.get(wish.target_id) if wish.target_id else None
        if status is Status.QUEUED:
            later.append(wish.id)
        elif status is not Status.COMPLETED:
            ended = "is gone" if status is None else f"had ended as {status.name}"
            refusals.append((wish.id, f"the task {ended} when its completion was committed"))
    if later:
        yield from fetch(outbox.postpone(later, now + AGAIN_AFTER))
    return refusals


_CARRY_OUT: Mapping[OutboxKind, Callable[[Sequence[Wish], datetime], Operation[Refusals]]] = {
    OutboxKind.ENQUEUE: _enqueue,
    OutboxKind.EVENT: _push,
    OutboxKind.SCHEDULE: _schedule,
    OutboxKind.CANCEL: _cancel,
    OutboxKind.COMPLETE: _complete,
}
