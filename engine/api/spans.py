"""The span of time that counts over time are asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.domain.time_buckets import TimeBuckets
from tenants.rest.errors import bad_request

_MOST = 5_000


def buckets_between(
    since: datetime | None, until: datetime | None, *, names: tuple[str, str]
) -> TimeBuckets:
    """Of the last day unless told otherwise; `names` are what the caller calls the bounds."""
    end = until or datetime.now(UTC)
    beginning = since or end - timedelta(days=1)
    if beginning > end:
        raise bad_request(f"{names[0]} is later than {names[1]}", field=names[0])
    made = TimeBuckets(beginning, end)
    if made.number > _MOST:
        raise bad_request("that span is too long", field=names[0])
    return made
