"""Bars of steps and attempts lie where their times say, on one scale."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dashboard.attempts import attempts_of
from dashboard.gantt import LABELS, MOST_LANES, WIDTH, Chart, chart_of
from engine.models.task_queries import PastEvent
from engine.states import TaskEventKind as Kind

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
ROOM = WIDTH - LABELS - 10
Row = tuple[int, int, Kind, float]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def draw(*rows: Row, now: float = 100) -> Chart | None:
    """Rows of the log in order: task, attempt, kind, second."""
    log = [PastEvent(UUID(int=t), n, int(kind), at(s), None, "") for t, n, kind, s in rows]
    names = {UUID(int=number): f"step-{number}" for number in range(200)}
    return chart_of(attempts_of(log[::-1], names), at(now))


def bars(chart: Chart | None, lane: int = 0) -> list[tuple[str, str, int, float, float]]:
    """Kind, outcome, attempt, and where a bar begins and ends, in parts of the whole."""
    assert chart is not None
    return [
        (
            b.kind,
            b.outcome,
            b.attempt,
            round((b.x - LABELS) / ROOM, 2),
            round((b.x - LABELS + b.width) / ROOM, 2),
        )
        for b in chart.lanes[lane].bars
    ]


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw() is None


def test_attempts_show_queue_run_and_back_off() -> None:
    chart = draw(
        (1, 0, Kind.QUEUED, 0),
        (1, 0, Kind.STARTED, 20),
        (1, 0, Kind.FAILED, 40),
        (1, 1, Kind.QUEUED, 60),
        (1, 1, Kind.STARTED, 70),
        (1, 1, Kind.FINISHED, 100),
    )
    assert bars(chart) == [
        ("queue", "", 1, 0.0, 0.2),
        ("run", "failed", 1, 0.2, 0.4),
        ("queue", "", 2, 0.6, 0.7),
        ("run", "done", 2, 0.7, 1.0),
        ("rest", "", 2, 0.4, 0.6),
    ]
    assert chart is not None
    assert [round(tick.seconds) for tick in chart.ticks] == [0, 25, 50, 75, 100]
    assert "attempt 2: rested before the next attempt" in {bar.words for bar in chart.lanes[0].bars}


def test_what_goes_on_reaches_to_now() -> None:
    chart = draw((1, 0, Kind.QUEUED, 0), (1, 0, Kind.STARTED, 50), now=200)
    assert bars(chart) == [("queue", "", 1, 0.0, 0.25), ("run", "going", 1, 0.25, 1.0)]
    assert bars(draw((1, 0, Kind.QUEUED, 0), now=10)) == [("queue", "", 1, 0.0, 1.0)]


def test_durable_tasks_sleep_without_a_worker() -> None:
    chart = draw(
        (1, 0, Kind.STARTED, 0),
        (1, 0, Kind.DURABLE_EVICTED, 10),
        (1, 0, Kind.DURABLE_RESTORING, 60),
        (1, 0, Kind.DURABLE_EVICTED, 80),
        (1, 0, Kind.FINISHED, 100),
    )
    assert [one for one in bars(chart) if one[0] == "sleep"] == [
        ("sleep", "", 1, 0.1, 0.6),
        ("sleep", "", 1, 0.8, 1.0),
    ]


def test_steps_have_lanes_in_the_order_in_which_they_were_queued() -> None:
    chart = draw((2, 0, Kind.QUEUED, 0), (1, 0, Kind.QUEUED, 1), (3, 0, Kind.CANCELLED, 2), now=2)
    assert chart is not None
    assert [lane.name for lane in chart.lanes] == ["step-2", "step-1", "step-3"]
    assert len({lane.y for lane in chart.lanes}) == 3


def test_of_very_many_steps_some_are_not_drawn() -> None:
    chart = draw(*((number, 0, Kind.QUEUED, number) for number in range(MOST_LANES + 5)))
    assert chart is not None
    assert (len(chart.lanes), chart.more) == (MOST_LANES, 5)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(0, 2), st.sampled_from(list(Kind)), st.floats(0, 1e9)
        ),
        max_size=30,
    )
)
def test_whatever_the_log_says_bars_lie_inside_the_drawing(rows: list[Row]) -> None:
    chart = draw(*rows, now=0)
    if chart is None:
        return
    for lane in chart.lanes:
        assert 0 <= lane.y <= chart.height
        for bar in lane.bars:
            assert bar.x >= LABELS
            assert bar.x + bar.width <= WIDTH + 1
            assert bar.width > 0
