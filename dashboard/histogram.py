"""Runs over time as bars, those that failed apart, with marks where something was deployed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from engine.states import Status

WIDTH, HEIGHT = 960, 64
MOST_BARS = 60
_WIDTHS = [
    timedelta(minutes=minutes)
    for minutes in (1, 2, 5, 10, 15, 30, 60, 180, 360, 720, 1440, 10_080, 43_200, 525_600)
]


@dataclass(frozen=True, slots=True)
class Bar:
    """`y` and `height` are of all runs, `failed_…` of those that failed; `query` narrows to its time."""

    at: datetime
    total: int
    failed: int
    x: float
    width: float
    y: float
    height: float
    failed_y: float
    failed_height: float
    query: str

    @property
    def words(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} UTC: {self.total:,} runs, {self.failed:,} failed"


@dataclass(frozen=True, slots=True)
class Mark:
    x: float
    words: str


@dataclass(frozen=True, slots=True)
class Histogram:
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    highest: int
    since: datetime
    until: datetime
    width: int = WIDTH
    height: int = HEIGHT


def bucket_width(since: datetime, until: datetime) -> timedelta:
    """The smallest round width that needs no more than so many bars."""
    length = until - since
    return next((width for width in _WIDTHS if length / width <= MOST_BARS), length / MOST_BARS)


def histogram(
    counts: Mapping[tuple[datetime, Status], int],
    span: tuple[datetime, datetime],
    width: timedelta,
    marks: Sequence[tuple[datetime, str]] = (),
    kept: Mapping[str, object] | None = None,
) -> Histogram:
    """Draw counts by the beginning of their bucket and status; marks outside the span are left out.

    A bar leads to its time, with what is `kept` of the list's query.
    """
    since, until = span
    number = max(-(-(until - since) // width), 1)
    totals = [_of(counts, since + place * width) for place in range(number)]
    highest = max((total for total, _ in totals), default=0)
    step = WIDTH / number
    bars = []
    for place, (total, failed) in enumerate(totals):
        at = since + place * width
        tall, failed_tall = _tall(total, highest), _tall(failed, highest)
        bars.append(
            Bar(
                at,
                total,
                failed,
                round(place * step, 2),
                round(max(step - 1, step / 2), 2),
                round(HEIGHT - tall, 2),
                tall,
                round(HEIGHT - failed_tall, 2),
                failed_tall,
                _range(at, at + width, kept or {}),
            )
        )
    scale = WIDTH / (number * width).total_seconds()
    drawn = tuple(
        Mark(round((at - since).total_seconds() * scale, 2), f"{at:%Y-%m-%d %H:%M} UTC: {words}")
        for at, words in marks
        if since <= at <= until
    )
    return Histogram(tuple(bars), drawn, highest, since, until)


def _of(counts: Mapping[tuple[datetime, Status], int], at: datetime) -> tuple[int, int]:
    """All and failed runs of a bucket; the tally may be a little below nothing for a moment."""
    total = sum(max(counts.get((at, status), 0), 0) for status in Status)
    return total, max(counts.get((at, Status.FAILED), 0), 0)


def _tall(count: int, highest: int) -> float:
    return round(max(HEIGHT * count / highest, 2.0), 2) if count else 0.0


def _range(since: datetime, until: datetime, kept: Mapping[str, object]) -> str:
    times = {"from": f"{since:%Y-%m-%dT%H:%M}", "to": f"{until:%Y-%m-%dT%H:%M}"}
    return urlencode({**times, **kept})
