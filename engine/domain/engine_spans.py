"""The engine's own spans, read out of the event log: nothing is written for them.

A run's span holds those of its attempts: `queued` until a worker is chosen, `start_step_run` while one has it,
`waiting` between two attempts and while a durable task waits without a worker.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from engine.domain.spans import SOURCE, Span, SpanEvent, event_at
from engine.domain.trace_context import (
    TraceContext,
    attempt_span,
    derived_context,
    event_span,
    run_span,
    waiting_span,
)
from engine.states import SpanKind, SpanStatus, Status
from engine.states import TaskEventKind as Kind

SERVICE = "hatchet-engine"
RUN, EVENT = "hatchet.engine.workflow_run", "hatchet.engine.event"
QUEUED, WORKING = "hatchet.engine.queued", "hatchet.engine.start_step_run"
WAITING = "hatchet.engine.waiting"

_MICROSECOND = timedelta(microseconds=1)
_BEGINS = {
    Kind.QUEUED: QUEUED,
    Kind.RETRYING: WAITING,
    Kind.ASSIGNED: WORKING,
    Kind.STARTED: WORKING,
    Kind.DURABLE_EVICTED: WAITING,
    Kind.DURABLE_RESTORING: QUEUED,
}
"""What begins with an event, and ends what was before it."""
_ENDS = {
    Kind.FINISHED: SpanStatus.OK,
    Kind.FAILED: SpanStatus.ERROR,
    Kind.TIMED_OUT: SpanStatus.ERROR,
    Kind.SCHEDULING_TIMED_OUT: SpanStatus.ERROR,
    Kind.CANCELLED: SpanStatus.UNSET,
    Kind.REASSIGNED: SpanStatus.UNSET,
    Kind.SKIPPED: SpanStatus.UNSET,
}
_RUN_STATUS = {Status.COMPLETED: SpanStatus.OK, Status.FAILED: SpanStatus.ERROR}


class TracedRun(NamedTuple):
    """What is to be known of a run; `brought` is the context in its metadata."""

    id: UUID
    tenant_id: UUID
    name: str
    status: Status
    created_at: datetime
    finished_at: datetime | None
    event_id: UUID | None
    event_key: str | None
    brought: TraceContext | None

    @property
    def trace_id(self) -> UUID:
        return (self.brought or derived_context(self.id, self.event_id)).trace_id


class TracedEvent(NamedTuple):
    """An event that started runs."""

    id: UUID
    key: str
    seen_at: datetime
    brought: TraceContext | None


class Note(NamedTuple):
    """An entry of the event log, in the order in which things happened."""

    task_id: UUID
    retry_count: int
    kind: Kind
    at: datetime
    worker_id: UUID | None


class _Open(NamedTuple):
    name: str
    since: datetime
    notes: list[SpanEvent]
    worker_id: UUID | None


def span_of_event(event: TracedEvent) -> Span:
    """An event takes no time. It is a child of what its metadata name."""
    brought = event.brought
    return _span(
        run_id=None,
        trace_id=brought.trace_id if brought else event.id,
        span_id=event_span(event.id),
        parent=brought.span_id if brought else None,
        name=EVENT,
        since=event.seen_at,
        until=event.seen_at,
        status=SpanStatus.OK,
        kind=SpanKind.PRODUCER,
        attributes={"hatchet.event_id": str(event.id), "hatchet.event_key": event.key},
    )


def spans_of_run(
    run: TracedRun,
    notes: Iterable[Note],
    name_of_task: Callable[[UUID], str],
    now: datetime,
) -> Iterator[Span]:
    """The run's span and those of its attempts; what goes on lasts until `now`."""
    shared = {
        "hatchet.tenant_id": str(run.tenant_id),
        "hatchet.workflow_run_id": str(run.id),
        "hatchet.workflow_name": run.name,
    }
    parent = run.brought.span_id if run.brought else None
    if run.event_id is not None:
        parent = event_span(run.event_id)
    yield _span(
        run_id=run.id,
        trace_id=run.trace_id,
        span_id=run_span(run.id),
        parent=parent,
        name=RUN,
        since=run.created_at,
        until=run.finished_at or now,
        status=_RUN_STATUS.get(run.status, SpanStatus.UNSET),
        attributes=shared
        | {"hatchet.status": run.status.name}
        | ({"hatchet.event_key": run.event_key} if run.event_key else {}),
    )
    attempts: dict[tuple[UUID, int], list[Note]] = defaultdict(list)
    for note in notes:
        attempts[note.task_id, note.retry_count].append(note)
    for (task_id, retry_count), of_attempt in attempts.items():
        about = shared | {
            "hatchet.step_run_id": str(task_id),
            "hatchet.step_name": name_of_task(task_id),
            "hatchet.retry_count": str(retry_count),
        }
        yield from _Attempt(run, task_id, retry_count, about).spans(of_attempt, now)


class _Attempt:
    """Goes over what happened to one attempt and makes a span of each of its stages."""

    def __init__(
        self, run: TracedRun, task_id: UUID, retry_count: int, attributes: Mapping[str, str]
    ) -> None:
        self._run, self._task_id, self._retry_count = run, task_id, retry_count
        self._attributes = attributes
        self._parts: dict[str, int] = defaultdict(int)

    def spans(self, notes: Sequence[Note], now: datetime) -> Iterator[Span]:
        current: _Open | None = None
        for note in notes:
            begun, end = _BEGINS.get(note.kind), _ENDS.get(note.kind)
            if current and end is None and begun in (None, current.name):
                current.notes.append(_told(note))
                current = current._replace(worker_id=note.worker_id or current.worker_id)
                continue
            if current and not (current.name == WAITING and note.at <= current.since):
                yield self._close(current, note.at, SpanStatus.OK if end is None else end)
            if end is not None:  # what comes late belongs to what is over
                return
            current = _Open(begun, note.at, [_told(note)], note.worker_id) if begun else None
        if current:
            yield self._close(current, max(now, current.since), SpanStatus.UNSET)

    def _close(self, stage: _Open, until: datetime, status: SpanStatus) -> Span:
        part = self._parts[stage.name]
        self._parts[stage.name] += 1
        about = (self._task_id, self._retry_count, part)
        worker = {"hatchet.worker_id": str(stage.worker_id)} if stage.worker_id else {}
        return _span(
            run_id=self._run.id,
            trace_id=self._run.trace_id,
            span_id=(
                attempt_span(*about) if stage.name == WORKING else waiting_span(*about, stage.name)
            ),
            parent=run_span(self._run.id),
            name=stage.name,
            since=stage.since,
            until=until,
            status=status,
            retry_count=self._retry_count,
            attributes={**self._attributes, **worker},
            events=stage.notes,
        )


def _told(note: Note) -> SpanEvent:
    return event_at(note.kind.name, note.at, {})


def _span(
    *,
    run_id: UUID | None,
    trace_id: UUID,
    span_id: int,
    parent: int | None,
    name: str,
    since: datetime,
    until: datetime,
    status: SpanStatus,
    attributes: Mapping[str, str],
    kind: SpanKind = SpanKind.INTERNAL,
    retry_count: int = 0,
    events: Sequence[SpanEvent] = (),
) -> Span:
    """Clocks differ: what ended before it began took no time."""
    return Span(
        run_id=run_id,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        kind=kind,
        status=status,
        started_at=since,
        duration_ns=max(0, (until - since) // _MICROSECOND * 1000),
        retry_count=retry_count,
        service_name=SERVICE,
        attributes={**attributes, SOURCE: "engine"},
        events=events,
    )
