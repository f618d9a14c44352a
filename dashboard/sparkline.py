"""Counts over time as bars, for a drawing without client code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Bar:
    """`x`, `y`, `width` and `height` in the drawing's units; `at` is when its time begins."""

    at: datetime
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Sparkline:
    bars: tuple[Bar, ...]
    width: int
    height: int
    total: int
    highest: int

    @property
    def words(self) -> str:
        """What the drawing says, for whoever does not see it."""
        first, last = self.bars[0].at, self.bars[-1].at
        return f"{self.total:,} from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def hours_before(now: datetime, number: int) -> list[datetime]:
    """The beginnings of the last hours, the present one at the end."""
    this = now.replace(minute=0, second=0, microsecond=0)
    return [this - back * HOUR for back in range(number - 1, -1, -1)]


def sparkline(
    counts: Mapping[datetime, int], times: Sequence[datetime], *, width: int = 120, height: int = 24
) -> Sparkline:
    """Draw a bar for each time. What is not nothing can be seen: it is at least two units high."""
    highest = max((counts.get(at, 0) for at in times), default=0)
    step = width / max(len(times), 1)
    bars = []
    for number, at in enumerate(times):
        count = counts.get(at, 0)
        tall = max(height * count / highest, 2.0) if count > 0 else 0.0
        bars.append(
            Bar(
                at,
                count,
                round(number * step, 2),
                round(height - tall, 2),
                round(max(step - 1, step / 2), 2),
                round(tall, 2),
            )
        )
    return Sparkline(tuple(bars), width, height, sum(bar.count for bar in bars), highest)
