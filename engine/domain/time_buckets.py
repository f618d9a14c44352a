"""Equal stretches of time that numbers are told by; the longer the whole, the longer each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

_WIDTHS = (
    (timedelta(minutes=61), timedelta(minutes=1)),
    (timedelta(hours=12), timedelta(minutes=5)),
    (timedelta(hours=48), timedelta(minutes=30)),
    (timedelta(days=8), timedelta(hours=8)),
)


@dataclass(frozen=True, slots=True)
class TimeBuckets:
    """Buckets from the minute of `since` on; the last is the one that `until`, which is not earlier, falls into."""

    since: datetime
    until: datetime

    @property
    def width(self) -> timedelta:
        span = self.until - self.since
        return next((width for limit, width in _WIDTHS if span < limit), timedelta(days=1))

    @property
    def start(self) -> datetime:
        return self.since.replace(second=0, microsecond=0)

    @property
    def number(self) -> int:
        return (self.until - self.start) // self.width + 1

    def times(self) -> Iterator[datetime]:
        """When each of them begins."""
        for place in range(self.number):
            yield self.start + place * self.width
