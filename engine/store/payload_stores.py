"""Statements of engine/sql/payload_store.sql: where objects of payloads are."""

from __future__ import annotations

from datetime import datetime

from engine.store.query import Query, the_value


def note(location: str, now: datetime) -> Query[str]:
    return Query("payload_store.note", {"location": location, "now": now}, the_value)


def locations() -> Query[str]:
    return Query("payload_store.locations", {}, the_value)
