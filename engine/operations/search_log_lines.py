"""Finds and counts what tasks logged, a stretch of lines at a time and never more than so many.

An answer says how far it looked, so that one can go on from there: what is rare costs several
questions, none of them long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from engine.states import LogLevel
from engine.store import log_lines
from engine.store.log_lines import FoundLine, WantedLines
from engine.store.query import Operation, fetch

MOST_LOOKED_AT = 100_000
"""Lines one question looks at: some tens of milliseconds of one core."""
_FIRST_STRETCH, _STRETCH = 5_000, 50_000
"""What is frequent is found in a few lines."""


@dataclass(frozen=True, slots=True)
class Found:
    lines: list[FoundLine]
    looked_until: FoundLine | None
    """The line that the search goes on from; None: it looked at all there are."""


@dataclass(frozen=True, slots=True)
class Counted:
    lines: dict[tuple[datetime, LogLevel], int]
    since: datetime | None
    """Lines of before this were not looked at; None: all were."""


def find_log_lines(
    tenant_id: UUID,
    wanted: WantedLines,
    *,
    limit: int,
    is_newest_first: bool,
    looked_at: int,
    cursor: UUID | None = None,
) -> Operation[Found]:
    """Find the first `limit` lines behind `cursor`, an id."""
    first, last = wanted.bounds
    place = cursor or (last if is_newest_first else first)
    ask = log_lines.newest if is_newest_first else log_lines.oldest
    yield from fetch(log_lines.read_in_order())
    found: list[FoundLine] = []
    end: FoundLine | None = None
    for stretch in _stretches(looked_at):
        missing = limit - len(found)
        rows = yield from fetch(ask(tenant_id, wanted, place, looked_at=stretch, limit=missing))
        lines = [row for row in rows if row.is_wanted]
        found += lines[:missing]
        if len(lines) > missing:
            return Found(found, found[-1])
        if not rows or rows[-1].place < stretch:
            return Found(found, None)
        end = rows[-1]
        if len(found) == limit:
            break
        place = end.id
    return Found(found, end)


def count_log_lines(
    tenant_id: UUID,
    wanted: WantedLines,
    *,
    start: datetime,
    until: datetime,
    width: timedelta,
    looked_at: int,
) -> Operation[Counted]:
    """Count lines by level and stretches of `width` that are aligned to `start`.

    Those that no text, attempt or task narrows are counted in whole minutes.
    """
    counts: Counter[tuple[datetime, LogLevel]] = Counter()
    if wanted.is_tallied:
        query = log_lines.count_all(tenant_id, wanted, start=start, until=until, width=width)
        for tallied in (yield from fetch(query)):
            counts[tallied.at, LogLevel(tallied.level)] += tallied.wanted
        return Counted(counts, None)
    yield from fetch(log_lines.read_in_order())
    _, place = wanted.bounds
    since: datetime | None = None
    for stretch in _stretches(looked_at):
        rows = yield from fetch(
            log_lines.count(tenant_id, wanted, place, looked_at=stretch, start=start, width=width)
        )
        for row in rows:
            counts[row.at, LogLevel(row.level)] += row.wanted
        if sum(row.looked_at for row in rows) < stretch:
            return Counted(counts, None)
        place, since = rows[0].oldest_id, rows[0].oldest_at
    return Counted(counts, since)


def _stretches(looked_at: int) -> Iterator[int]:
    """How many lines are looked at by one statement after the other."""
    length = _FIRST_STRETCH
    while looked_at > 0:
        yield min(length, looked_at)
        looked_at -= length
        length = _STRETCH
