"""Statements of engine/sql/schedule.sql: what starts workflows once, at an instant."""

from __future__ import annotations

from datetime import datetime

from engine.store.query import Query, the_value


def next_due() -> Query[datetime | None]:
    """Return one row: when a cron or schedule is due next, if any is."""
    return Query("schedule.next_due", {}, the_value)
