"""When steps waited, ran, rested and slept, as bars on one scale, for a drawing without client code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from dashboard.attempts import Attempt

WIDTH, LABELS = 900, 190
LANE, BAR, TOP = 26, 14, 22
MOST_LANES = 60
_TICKS = 4
_ANCHORS = {0: "start", _TICKS: "end"}
_THINNEST = 1.5
_STATES = {"completed": "done", "failed": "failed", "cancelled": "cancelled", "skipped": "done"}


@dataclass(frozen=True, slots=True)
class Bar:
    """`kind` is queue, run, rest or sleep; `outcome` is that of a run."""

    kind: str
    outcome: str
    x: float
    width: float
    attempt: int
    seconds: float

    @property
    def words(self) -> str:
        names = {
            "queue": "waited in the queue",
            "run": "ran",
            "rest": "rested before the next attempt",
            "sleep": "waited without a worker",
        }
        return f"attempt {self.attempt}: {names[self.kind]}"


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    y: int
    bars: tuple[Bar, ...]

    @property
    def middle(self) -> int:
        return self.y + BAR // 2 + 4


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    seconds: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Chart:
    """`more` steps are not drawn."""

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    height: int
    more: int
    width: int = WIDTH
    labels: int = LABELS
    bar: int = BAR


def chart_of(attempts: Sequence[Attempt], now: datetime) -> Chart | None:
    """Draw the attempts, given latest first; None if nothing has happened yet.

    Steps come in the order in which they were first queued.
    """
    tasks: dict[UUID, list[Attempt]] = {}
    for attempt in reversed(attempts):
        tasks.setdefault(attempt.task_id, []).append(attempt)
    begins = {task: min(_begin(a, now) for a in tries) for task, tries in tasks.items()}
    if not begins:
        return None
    start = min(begins.values())
    end = max(a.ended_at or now for tries in tasks.values() for a in tries)
    scale = _Scale(start, max((end - start).total_seconds(), 0.001))
    order = sorted(tasks, key=lambda task: (begins[task], task))
    lanes = tuple(
        Lane(tasks[task][0].name, TOP + number * LANE, tuple(_bars(tasks[task], scale, now)))
        for number, task in enumerate(order[:MOST_LANES])
    )
    ticks = tuple(
        Tick(scale.at(part / _TICKS), scale.seconds * part / _TICKS, _ANCHORS.get(part, "middle"))
        for part in range(_TICKS + 1)
    )
    height = TOP + len(lanes) * LANE
    return Chart(lanes, ticks, height, max(len(order) - MOST_LANES, 0))


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    seconds: float

    def at(self, part: float) -> float:
        return round(LABELS + part * (WIDTH - LABELS - 10), 2)

    def bar(
        self, kind: str, outcome: str, attempt: Attempt, span: tuple[datetime, datetime]
    ) -> Bar:
        length = max((span[1] - span[0]).total_seconds(), 0.0)
        x = self._place(span[0])
        width = max(round(self._place(span[1]) - x, 2), _THINNEST)
        return Bar(kind, outcome, x, width, attempt.number, length)

    def _place(self, moment: datetime) -> float:
        """Clocks of workers may be off: nothing lies outside."""
        return self.at(min(max((moment - self.start).total_seconds() / self.seconds, 0.0), 1.0))


def _begin(attempt: Attempt, now: datetime) -> datetime:
    known = (attempt.queued_at, attempt.assigned_at, attempt.started_at, attempt.ended_at)
    return next((moment for moment in known if moment is not None), now)


def _bars(tries: Sequence[Attempt], scale: _Scale, now: datetime) -> Iterator[Bar]:
    for attempt in tries:
        yield from _bars_of(attempt, scale, now)
    for before, after in pairwise(tries):
        rest = (before.ended_at, _begin(after, now))
        if rest[0] is not None and rest[1] - rest[0] > timedelta(milliseconds=1):
            yield scale.bar("rest", "", after, (rest[0], rest[1]))


def _bars_of(attempt: Attempt, scale: _Scale, now: datetime) -> Iterator[Bar]:
    if attempt.queued_at is not None:
        until = attempt.started_at or attempt.ended_at or now
        yield scale.bar("queue", "", attempt, (attempt.queued_at, until))
    if attempt.started_at is None:
        return
    outcome = _STATES.get(attempt.state, "going")
    yield scale.bar("run", outcome, attempt, (attempt.started_at, attempt.ended_at or now))
    for left, came in attempt.sleeps:
        yield scale.bar("sleep", "", attempt, (left, came or attempt.ended_at or now))
