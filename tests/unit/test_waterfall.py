"""A trace as bars: in the order of the tree, each where it was in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from dashboard.waterfall import DEEPEST, WIDTH, Bar, draw
from engine.domain.engine_spans import QUEUED, RUN, SERVICE, WAITING, WORKING
from engine.domain.spans import Span
from engine.states import SpanKind, SpanStatus

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOW = START + timedelta(seconds=100)
TASK = "019b0000-0000-7000-8000-000000000001"


def span(
    number: int, parent: int | None = None, at: float = 0, lasts: float = 1, **given: object
) -> Span:
    values: dict[str, object] = {
        "run_id": None,
        "trace_id": UUID(int=1),
        "span_id": number,
        "parent_span_id": parent,
        "name": f"s{number}",
        "kind": SpanKind.INTERNAL,
        "status": SpanStatus.UNSET,
        "started_at": START + timedelta(seconds=at),
        "duration_ns": int(lasts * 10**9),
    }
    return Span(**(values | given))  # type: ignore[arg-type]  # as the test says


def engines(number: int, name: str, **given: object) -> Span:
    return span(number, name=name, service_name=SERVICE, **given)  # type: ignore[arg-type]  # the same


def shown(*spans: Span) -> list[tuple[int, int]]:
    """Depth and number of each bar."""
    return [(bar.depth, bar.span.span_id) for bar in draw(spans, NOW).bars]


def bar(*spans: Span) -> Bar:
    return draw(spans, NOW).bars[0]


def test_children_stand_below_their_parents_in_order() -> None:
    assert shown(span(1), span(2, 1), span(3, 2), span(4, 1), span(5)) == [
        (0, 1),
        (1, 2),
        (2, 3),
        (1, 4),
        (0, 5),
    ]


def test_what_hangs_nowhere_stands_by_itself_and_nothing_is_lost() -> None:
    assert shown(span(1, 99), span(2, 3), span(3, 2), span(4, 4)) == [
        (0, 1),
        (0, 2),
        (1, 3),
        (0, 4),
    ]


def test_a_deep_trace_is_drawn_without_end() -> None:
    bars = draw([span(n, n - 1) for n in range(1, 3_000)], NOW).bars
    assert len(bars) == 2_999
    assert max(each.depth for each in bars) == DEEPEST


def test_two_of_one_id_are_one_bar() -> None:
    assert shown(span(1), span(1, at=1)) == [(0, 1)]


def test_a_workers_span_is_drawn_in_its_attempt() -> None:
    of_task: dict[str, Any] = {"attributes": {"hatchet.step_run_id": TASK}}
    trigger, work = span(1), engines(2, WORKING, at=1, **of_task)
    again = engines(3, WORKING, at=5, retry_count=1, **of_task)
    started = span(4, 1, at=1.1, kind=SpanKind.CONSUMER, **of_task)
    retried = span(5, 1, at=5.1, kind=SpanKind.CONSUMER, retry_count=1, **of_task)
    assert shown(trigger, work, started, span(6, 4, at=2), again, retried) == [
        (0, 1),
        (0, 2),
        (1, 4),
        (2, 6),
        (0, 3),
        (1, 5),
    ]


def test_bars_lie_where_they_were_in_time() -> None:
    found = draw([span(1, lasts=10), span(2, at=5, lasts=5), span(3, at=10, lasts=0)], NOW)
    assert [(each.x, each.width) for each in found.bars] == [
        (0, WIDTH),
        (WIDTH // 2, WIDTH // 2),
        (WIDTH - 4, 4),
    ]
    assert found.ticks == [0, 2.5, 5, 7.5, 10]


def test_a_trace_that_took_no_time_is_drawn() -> None:
    assert (bar(span(1, lasts=0)).x, bar(span(1, lasts=0)).width) == (0, 4)


def test_a_colour_stands_for_a_word() -> None:
    error = SpanStatus.ERROR
    assert bar(span(1, status=error)).state == "failed"
    assert bar(span(1)).state == "completed"
    assert bar(engines(1, QUEUED, status=SpanStatus.OK)).state == "queued"
    assert bar(engines(1, WAITING)).state == "waiting"
    assert bar(engines(1, QUEUED, status=error)).state == "failed"
    assert bar(engines(1, RUN, status=SpanStatus.OK)).state == "completed"
    assert bar(engines(1, RUN, lasts=100)).state == "running"
    assert bar(engines(1, RUN, lasts=50)).state == "cancelled"


def test_the_engines_spans_are_called_by_what_they_are_of() -> None:
    named = {"hatchet.step_name": "charge", "hatchet.workflow_name": "pay-1"}
    assert bar(engines(1, RUN, attributes=named)).label == "pay-1"
    assert bar(engines(1, WORKING, attributes=named)).label == "charge running"
    assert bar(engines(1, QUEUED, attributes=named)).label == "charge queued"
    assert bar(span(1, name="GET /")).label == "GET /"
