"""A clock that goes through days, with their partitions, and what clears the old ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection

from engine import ids
from engine.operations.retention.clear import Dropped, drop_day, sweep_rows
from engine.operations.retention.kinds import kinds
from engine.operations.retention.periods import cutoffs_of, expired_days
from engine.retention_config import RetentionConfig
from engine.store import retention, sync_db

TABLES = tuple(table for kind in kinds() for shelf in kind.shelves for table in shelf.tables)


class Days:
    """The time in which ids are made; it only goes on. `restore` ends that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        self.now += timedelta(days=10)  # its partitions are not there yet
        monkeypatch.setattr(ids, "_last", 0)
        monkeypatch.setattr(ids, "time", self)

    def time_ns(self) -> int:
        return int(self.now.timestamp() * 1000) * 1_000_000 + time.time_ns() % 1_000_000

    def begin(self, days: float = 0.0) -> datetime:
        """Let days pass, and make the partitions of the one that comes then."""
        self.now += timedelta(days=days)
        start = self.now.date()
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {table}_{start:%Y%m%d} PARTITION OF {table}"
                    " FOR VALUES FROM (engine_day_start_id(%s)) TO (engine_day_start_id(%s))",
                    [start, start + timedelta(days=1)],
                )
        return self.now

    def of(self, table: str) -> Sequence[str]:
        """The days of which a table has partitions, from where this clock began on."""
        return made([table])


def made(tables: Sequence[str]) -> list[str]:
    """Return the days that a test has made."""
    first = f"{datetime.now(UTC) + timedelta(days=9):%Y%m%d}"
    return [day for day in sync_db.read(retention.days(tables)) if day > first]


def clear(now: datetime, config: RetentionConfig | None = None, limit: int = 100) -> Counter[str]:
    """Do what an engine does in a round; return how often what was dropped and removed.

    The days of today, which the migrations made, stay for other tests.
    """
    rows, did = sync_db.read(retention.periods()), Counter[str]()
    for kind in kinds():
        cutoffs = cutoffs_of(kind.name, rows, config or RetentionConfig(), now)
        for shelf in kind.shelves:
            for day in expired_days(made(shelf.tables), cutoffs):
                if sync_db.run(drop_day(shelf, day)) is Dropped.GONE:
                    did[shelf.tables[0]] += 1
        for sweep in kind.sweeps:
            after: UUID | None = UUID(int=0)
            while after is not None:
                count, after = sync_db.run(sweep_rows(sweep, cutoffs, after, limit))
                did[kind.name] += count
    return +did
