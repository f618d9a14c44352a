"""Equal stretches of time that numbers are told by; the longer the whole, the longer each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tenants.rest.errors import bad_request

_WIDTHS = (
    (timedelta(minutes=61), timedelta(minutes=1)),
    (timedelta(hours=12), timedelta(minutes=5)),
    (timedelta(hours=48), timedelta(minutes=30)),
    (timedelta(days=8), timedelta(hours=8)),
)
_MOST = 5_000


@dataclass(frozen=True, slots=True)
class Buckets:
    since: datetime
    until: datetime
    width: timedelta

    @classmethod
    def between(
        cls, since: datetime | None, until: datetime | None, *, names: tuple[str, str]
    ) -> Buckets:
        """Of the last day unless told otherwise; `names` are what the caller calls the bounds."""
        end = until or datetime.now(UTC)
        beginning = since or end - timedelta(days=1)
        if beginning > end:
            raise bad_request(f"{names[0]} is later than {names[1]}", field=names[0])
        made = cls(beginning, end, bucket_width(end - beginning))
        if (end - made.start) / made.width > _MOST:
            raise bad_request("that span is too long", field=names[0])
        return made

    @property
    def start(self) -> datetime:
        return self.since.replace(second=0, microsecond=0)

    def times(self) -> Iterator[datetime]:
        """When each of them begins."""
        for number in range((self.until - self.start) // self.width + 1):
            yield self.start + number * self.width


def bucket_width(span: timedelta) -> timedelta:
    return next((width for limit, width in _WIDTHS if span < limit), timedelta(days=1))
