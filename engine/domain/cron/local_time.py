"""Clock changes: which instants a local time stands for, and when a zone's offset changes."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

_LOOK_EVERY = timedelta(hours=12)
"""No zone changes its offset twice in that time."""


def local(moment: datetime, zone: tzinfo) -> datetime:
    """Return what clocks in `zone` show at an instant, as a time without a zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def offset_at(moment: datetime, zone: tzinfo) -> timedelta:
    found = moment.astimezone(zone).utcoffset()
    assert found is not None, "every zone of ours knows its offset"
    return found


def changes_between(after: datetime, until: datetime, zone: tzinfo) -> list[datetime]:
    """Return the instants from which a new offset holds, later than `after` and up to `until`."""
    if zone is UTC:
        return []
    years = range(after.year, until.year + 1)
    return [at for year in years for at in _changes(zone, year) if after < at <= until]


def first_change(after: datetime, until: datetime, zone: tzinfo) -> datetime | None:
    """Return the first such instant, if there is one."""
    if zone is UTC:
        return None
    for year in range(after.year, until.year + 1):
        found = _changes(zone, year)
        place = bisect_right(found, after)
        if place < len(found):
            return found[place] if found[place] <= until else None
    return None


@lru_cache(maxsize=10_000)
def _changes(zone: tzinfo, year: int) -> tuple[datetime, ...]:
    """Return the instants of a year, in UTC, from which a new offset holds."""
    begin = datetime(year, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    end = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    found: list[datetime] = []
    while begin < end:
        following = min(begin + _LOOK_EVERY, end)
        if offset_at(begin, zone) != offset_at(following, zone):
            found.append(_change_in(begin, following, zone))
        begin = following
    return tuple(found)


def _change_in(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    old = offset_at(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if offset_at(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after
