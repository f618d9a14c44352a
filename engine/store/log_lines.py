"""Statements of engine/sql/log_line.sql: what tasks logged, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from engine.ids import ids_between
from engine.states import LogLevel
from engine.store.query import Query, no_row, the_value
from engine.types import LogInput

_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_GRAVE = {LogLevel.WARN, LogLevel.ERROR}


@dataclass(frozen=True, slots=True)
class WantedLines:
    """Which lines of a tenant are wanted; None and nothing stand for all.

    `text` is looked for as it is, whatever the case of its letters. `since` and `until` are not
    included. `task_ids` are those of the lines, `run_ids` those of their runs, which finds them.
    """

    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    levels: Sequence[LogLevel] = ()
    attempt: int | None = None
    """From 1."""
    step_ids: Sequence[UUID] | None = None
    run_ids: Sequence[UUID] = ()
    task_ids: Sequence[UUID] | None = None

    @property
    def is_tallied(self) -> bool:
        """Whether the tally knows how many they are."""
        return not self.text and self.attempt is None and self.task_ids is None

    @property
    def bounds(self) -> tuple[UUID, UUID]:
        """Ids before and after those that the lines can have."""
        return ids_between(self.since, self.until)


class FoundLine(NamedTuple):
    """A line, without its text; `place` is its number among those looked at."""

    id: UUID
    run_id: UUID
    task_id: UUID
    retry_count: int
    level: int
    created_at: datetime
    is_wanted: bool
    place: int


class CountedLines(NamedTuple):
    """How many lines are wanted of those looked at, of a level and a stretch of time; and where that ended."""

    at: datetime
    level: int
    wanted: int
    looked_at: int
    oldest_id: UUID
    oldest_at: datetime


class TalliedLines(NamedTuple):
    at: datetime
    level: int
    wanted: int


def insert(ids: Sequence[UUID], lines: Sequence[LogInput], now: datetime) -> Query[UUID]:
    return Query(
        "log_line.insert",
        {
            "now": now,
            "ids": list(ids),
            "tenant_ids": [line.tenant_id for line in lines],
            "task_ids": [line.task_id for line in lines],
            "retry_counts": [line.retry_count for line in lines],
            "levels": [int(line.level) for line in lines],
            "messages": [line.message for line in lines],
            "metadata": [m and m.decode() for m in (line.metadata for line in lines)],
        },
        the_value,
    )


def read_in_order() -> Query[None]:
    return Query("log_line.read_in_order", {}, no_row)


def newest(
    tenant_id: UUID, wanted: WantedLines, before: UUID, *, looked_at: int, limit: int
) -> Query[FoundLine]:
    return Query(
        "log_line.newest",
        _params(tenant_id, wanted, before=before) | {"looked_at": looked_at, "limit": limit},
        FoundLine,
    )


def oldest(
    tenant_id: UUID, wanted: WantedLines, after: UUID, *, looked_at: int, limit: int
) -> Query[FoundLine]:
    return Query(
        "log_line.oldest",
        _params(tenant_id, wanted, after=after) | {"looked_at": looked_at, "limit": limit},
        FoundLine,
    )


def count(
    tenant_id: UUID,
    wanted: WantedLines,
    before: UUID,
    *,
    looked_at: int,
    start: datetime,
    width: timedelta,
) -> Query[CountedLines]:
    """Lines by stretches of `width`, aligned to `start`."""
    stretches = {"start": start, "width_seconds": width.total_seconds()}
    return Query(
        "log_line.count",
        _params(tenant_id, wanted, before=before) | stretches | {"looked_at": looked_at},
        CountedLines,
    )


def count_all(
    tenant_id: UUID, wanted: WantedLines, *, start: datetime, until: datetime, width: timedelta
) -> Query[TalliedLines]:
    return Query(
        "log_line.count_all",
        {
            "tenant_id": tenant_id,
            "start": start,
            "until": until,
            "width_seconds": width.total_seconds(),
            "levels": _levels(wanted),
            "has_steps": wanted.step_ids is not None,
            "step_ids": list(wanted.step_ids or ()),
        },
        TalliedLines,
    )


def compact_tallies() -> Query[None]:
    return Query("log_line.compact_tallies", {}, no_row)


def drop_tallies() -> Query[None]:
    return Query("log_line.drop_tallies", {}, no_row)


def _params(
    tenant_id: UUID, wanted: WantedLines, *, after: UUID | None = None, before: UUID | None = None
) -> dict[str, Any]:
    first, last = wanted.bounds
    levels = _levels(wanted)
    return {
        "tenant_id": tenant_id,
        "first_id": first if after is None else max(first, after),
        "last_id": last if before is None else min(last, before),
        "since": wanted.since or _FIRST,
        "until": wanted.until or _LAST,
        "levels": levels,
        "is_grave": _GRAVE.issuperset(levels),
        "attempt": wanted.attempt or 0,
        "has_steps": wanted.step_ids is not None,
        "step_ids": list(wanted.step_ids or ()),
        "has_tasks": wanted.task_ids is not None,
        "run_ids": list(wanted.run_ids),
        "task_ids": list(wanted.task_ids or ()),
        "pattern": _pattern(wanted.text),
        "is_ascii": wanted.text.isascii(),
    }


def _levels(wanted: WantedLines) -> list[int]:
    return [int(level) for level in wanted.levels or LogLevel]


def _pattern(text: str) -> str:
    """What LIKE finds this text by, and nothing else: `%` and `_` stand for themselves."""
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return f"%{text}%" if text else ""
