"""Statements of engine/sql/event.sql: what clients push."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.payloads import ReadMetadata
from engine.store.query import Query, no_row
from engine.types import EventInput, EventRecord


class TriggerMatch(NamedTuple):
    key: str
    pattern: str
    workflow_id: UUID
    workflow_name: str
    has_filters: bool
    version_id: UUID


def insert(
    tenant_id: UUID, events: Sequence[EventRecord], priorities: Sequence[int | None], now: datetime
) -> Query[None]:
    return Query(
        "event.insert",
        {
            "tenant_id": tenant_id,
            "now": now,
            "ids": [e.event_id for e in events],
            "keys": [e.key for e in events],
            "scopes": [e.scope for e in events],
            "metadata": [m and m.decode() for m in (e.additional_metadata for e in events)],
            "priorities": list(priorities),
            "payloads": [e.payload for e in events],
        },
        no_row,
    )


def by_id(tenant_id: UUID, event_id: UUID) -> Query[EventInput]:
    return Query("event.by_id", {"tenant_id": tenant_id, "id": event_id}, _input)


def _input(
    key: str,
    payload: bytes | None,
    additional_metadata: str | None,
    priority: int | None,
    scope: str | None,
) -> EventInput:
    metadata = additional_metadata.encode() if additional_metadata else None
    return EventInput(key, payload or b"{}", metadata, priority, scope)


def triggers(tenant_id: UUID, keys: Sequence[str]) -> Query[TriggerMatch]:
    return Query("event.triggers", {"tenant_id": tenant_id, "keys": list(keys)}, TriggerMatch)


def hold_targets(
    tenant_id: UUID, keys: Sequence[str], scopes: Sequence[str], targets: Sequence[str]
) -> Query[None]:
    params = {
        "tenant_id": tenant_id,
        "keys": list(keys),
        "scopes": list(scopes),
        "targets": list(targets),
    }
    return Query("event.hold_targets", params, no_row)


def metadata(ids: Collection[UUID], *, room: int) -> Query[ReadMetadata]:
    return Query("event.metadata", {"ids": list(ids), "room": room}, ReadMetadata)
