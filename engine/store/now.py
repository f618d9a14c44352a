"""Statements of engine/sql/now.sql: how a tenant stands at this moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query

ALIVE_FOR = timedelta(seconds=30)
"""A worker without a heartbeat for longer is lost."""


class FactsRow(NamedTuple):
    """Counts, and lists as JSON texts."""

    has_runs: bool
    is_scheduled: bool
    engines: int
    workers: int
    waiting: str
    hours: str
    last_hour: str
    open_errors: int
    missed: str
    paused: str
    versions: str
    audit: str
    database_bytes: int
    connections: int
    most_connections: int


def facts(tenant_id: UUID, now: datetime, *, with_audit: bool) -> Query[FactsRow]:
    """`with_audit` also reads what people and programs changed."""
    return Query(
        "now.facts",
        {
            "tenant_id": tenant_id,
            "alive_since": now - ALIVE_FOR,
            "hour_ago": now - timedelta(hours=1),
            "day_ago": now - timedelta(days=1),
            "with_audit": with_audit,
        },
        FactsRow,
    )
