"""The engine's own spans are read out of the event log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from engine.domain.engine_spans import (
    QUEUED,
    RUN,
    WAITING,
    WORKING,
    Note,
    TracedEvent,
    TracedRun,
    span_of_event,
    spans_of_run,
)
from engine.domain.spans import Span
from engine.domain.trace_context import TraceContext, attempt_span, event_span, run_span
from engine.states import SpanStatus, Status
from engine.states import TaskEventKind as Kind

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
RUN_ID, TASK, EVENT, WORKER = (UUID(f"019b0000-0000-7000-8000-00000000000{n}") for n in range(1, 5))
BROUGHT = TraceContext(UUID(int=7), 99)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def run(**given: object) -> TracedRun:
    values: dict[str, object] = {
        "id": RUN_ID,
        "tenant_id": UUID(int=1),
        "name": "greet-1",
        "status": Status.RUNNING,
        "created_at": START,
        "finished_at": None,
        "event_id": None,
        "event_key": None,
        "brought": None,
    }
    return TracedRun(**(values | given))  # type: ignore[arg-type]  # as the test says


def notes(*happened: tuple[float, Kind], retry_count: int = 0) -> list[Note]:
    assigned = {Kind.ASSIGNED, Kind.STARTED, Kind.FINISHED}
    return [
        Note(TASK, retry_count, kind, at(seconds), WORKER if kind in assigned else None)
        for seconds, kind in happened
    ]


def spans(log: list[Note], *, now: float = 100, **given: object) -> list[Span]:
    return list(spans_of_run(run(**given), log, lambda _: "step", at(now)))


def shown(found: list[Span]) -> list[tuple[str, float, float, SpanStatus]]:
    """Of attempts: name, begin, seconds and status."""
    return [
        (
            span.name,
            (span.started_at - START).total_seconds(),
            span.duration_ns / 1e9,
            span.status,
        )
        for span in found[1:]
    ]


COMPLETED = notes(
    (0, Kind.QUEUED),
    (1, Kind.ASSIGNED),
    (1.5, Kind.SENT_TO_WORKER),
    (2, Kind.STARTED),
    (5, Kind.FINISHED),
)


def test_a_completed_attempt_was_queued_and_worked() -> None:
    found = spans(COMPLETED, status=Status.COMPLETED, finished_at=at(5))
    assert shown(found) == [(QUEUED, 0, 1, SpanStatus.OK), (WORKING, 1, 4, SpanStatus.OK)]
    whole, _, work = found
    assert (whole.name, whole.duration_ns, whole.status) == (RUN, 5 * 10**9, SpanStatus.OK)
    assert {span.parent_span_id for span in found[1:]} == {whole.span_id}
    assert work.span_id == attempt_span(TASK, 0)
    assert work.attributes["hatchet.worker_id"] == str(WORKER)
    assert {span.attributes["hatchet.span_source"] for span in found} == {"engine"}
    assert [event["name"] for event in work.events] == ["ASSIGNED", "SENT_TO_WORKER", "STARTED"]


def test_what_goes_on_lasts_until_now() -> None:
    found = spans(COMPLETED[:4], now=10)
    assert shown(found)[-1] == (WORKING, 1, 9, SpanStatus.UNSET)
    assert (found[0].duration_ns, found[0].status) == (10 * 10**9, SpanStatus.UNSET)


def test_between_two_attempts_a_task_waits() -> None:
    log = [
        *notes((0, Kind.QUEUED), (1, Kind.ASSIGNED), (3, Kind.FAILED)),
        *notes((3, Kind.RETRYING), (8, Kind.QUEUED), (8, Kind.ASSIGNED), retry_count=1),
    ]
    assert shown(spans(log, now=9)) == [
        (QUEUED, 0, 1, SpanStatus.OK),
        (WORKING, 1, 2, SpanStatus.ERROR),
        (WAITING, 3, 5, SpanStatus.OK),
        (QUEUED, 8, 0, SpanStatus.OK),
        (WORKING, 8, 1, SpanStatus.UNSET),
    ]
    assert {span.retry_count for span in spans(log, now=9)[3:]} == {1}


def test_a_retry_at_once_did_not_wait() -> None:
    log = notes((3, Kind.RETRYING), (3, Kind.QUEUED), (4, Kind.ASSIGNED), retry_count=1)
    assert [name for name, *_ in shown(spans(log))] == [QUEUED, WORKING]


def test_an_evicted_task_waits_and_works_again() -> None:
    log = notes(
        (0, Kind.QUEUED),
        (1, Kind.ASSIGNED),
        (2, Kind.DURABLE_EVICTED),
        (60, Kind.DURABLE_RESTORING),
        (61, Kind.ASSIGNED),
        (62, Kind.FINISHED),
    )
    found = spans(log)
    assert [(name, begin, lasted) for name, begin, lasted, _ in shown(found)] == [
        (QUEUED, 0, 1),
        (WORKING, 1, 1),
        (WAITING, 2, 58),
        (QUEUED, 60, 1),
        (WORKING, 61, 1),
    ]
    assert len({span.span_id for span in found}) == 6
    assert [span.span_id for span in found if span.name == WORKING] == [
        attempt_span(TASK, 0, 0),
        attempt_span(TASK, 0, 1),
    ]


def test_what_the_log_tells_late_opens_nothing_again() -> None:
    log = [*COMPLETED, *notes((6, Kind.STARTED), (7, Kind.ACKNOWLEDGED))]
    assert shown(spans(log)) == shown(spans(COMPLETED))


@pytest.mark.parametrize("kind", [Kind.SKIPPED, Kind.CANCELLED, Kind.ACKNOWLEDGED])
def test_what_never_was_in_the_queue_has_no_spans(kind: Kind) -> None:
    assert shown(spans(notes((1, kind)))) == []


def test_a_queued_task_that_is_cancelled_was_only_queued() -> None:
    log = notes((0, Kind.QUEUED), (2, Kind.CANCELLED))
    assert shown(spans(log)) == [(QUEUED, 0, 2, SpanStatus.UNSET)]


def test_clocks_that_differ_make_no_negative_times() -> None:
    found = spans(COMPLETED[:1], now=-5, finished_at=at(-3))
    assert [span.duration_ns for span in found] == [0, 0]


def test_a_run_hangs_where_its_metadata_say() -> None:
    (whole,) = spans([], brought=BROUGHT)
    assert (whole.trace_id, whole.parent_span_id) == (BROUGHT.trace_id, BROUGHT.span_id)
    (alone,) = spans([])
    assert (alone.trace_id, alone.span_id, alone.parent_span_id) == (
        RUN_ID,
        run_span(RUN_ID),
        None,
    )


def test_a_run_of_an_event_hangs_below_it_and_the_event_where_its_metadata_say() -> None:
    for brought in (None, BROUGHT):
        (whole,) = spans([], event_id=EVENT, event_key="a", brought=brought)
        event = span_of_event(TracedEvent(EVENT, "a", START, brought))
        assert whole.parent_span_id == event.span_id == event_span(EVENT)
        assert whole.trace_id == event.trace_id == (brought.trace_id if brought else EVENT)
        assert event.parent_span_id == (brought.span_id if brought else None)
        assert event.attributes["hatchet.event_key"] == "a"
