"""Statements of engine/sql/housekeeping.sql."""

from __future__ import annotations

from engine.store.query import Query, no_row, the_value


def ensure_partitions() -> Query[str]:
    return Query("housekeeping.ensure_partitions", {}, the_value)


def compact_tallies() -> Query[None]:
    return Query("housekeeping.compact_tallies", {}, no_row)
