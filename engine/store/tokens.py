"""Statements of engine/sql/token.sql."""

from __future__ import annotations

from uuid import UUID

from engine.store.query import Query, the_value


def name(token_id: UUID) -> Query[str]:
    return Query("token.name", {"id": token_id}, the_value)
