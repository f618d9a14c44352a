"""Log lines over time as bars, a colour for each level; pure numbers for a template to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.domain.time_buckets import TimeBuckets
from engine.states import LogLevel

HEIGHT = 60
BAR, GAP = 10, 2
_LEAST = 1.5
"""So high is what is not nothing."""


@dataclass(frozen=True, slots=True)
class Piece:
    level: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """`number` lines from `since` to `until`; None: they were not counted."""

    since: datetime
    until: datetime
    x: int
    number: int | None
    pieces: tuple[Piece, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Histogram:
    bars: list[Bar]
    width: int
    totals: list[tuple[str, int]]
    is_partial: bool
    bar: int = BAR
    height: int = HEIGHT

    @property
    def total(self) -> int:
        return sum(number for _, number in self.totals)


def draw(
    counts: Mapping[tuple[datetime, LogLevel], int],
    buckets: TimeBuckets,
    counted_since: datetime | None,
) -> Histogram:
    """Draw counts by bucket and level; buckets that begin before `counted_since` were not counted whole."""
    times = list(buckets.times())
    most = max((sum(counts.get((at, level), 0) for level in LogLevel) for at in times), default=0)
    bars = []
    for place, at in enumerate(times):
        found = {level: counts.get((at, level), 0) for level in LogLevel}
        is_counted = counted_since is None or at > counted_since
        bars.append(
            Bar(
                at,
                at + buckets.width,
                place * (BAR + GAP),
                sum(found.values()) if is_counted else None,
                _pieces(found, most) if is_counted else (),
                _words(found) if is_counted else "not counted",
            )
        )
    totals = [
        (level.name.lower(), sum(counts.get((at, level), 0) for at in times)) for level in LogLevel
    ]
    return Histogram(
        bars, max(len(times) * (BAR + GAP) - GAP, BAR), totals, counted_since is not None
    )


def _pieces(found: Mapping[LogLevel, int], most: int) -> tuple[Piece, ...]:
    """The pieces of one bar, the gravest level at the bottom, where it is seen first."""
    pieces, y = [], float(HEIGHT)
    for level in reversed(LogLevel):
        if found[level]:
            height = max(found[level] / most * (HEIGHT - _LEAST * len(LogLevel)), _LEAST)
            y -= height
            pieces.append(Piece(level.name.lower(), round(y, 2), round(height, 2)))
    return tuple(pieces)


def _words(found: Mapping[LogLevel, int]) -> str:
    told = [f"{number:,} {level.name.lower()}" for level, number in found.items() if number]
    return ", ".join(told) or "no lines"
