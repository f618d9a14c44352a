"""Statements of engine/sql/filter.sql: which events workflows want."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import new_id
from engine.states import CelSource
from engine.store.query import Query, the_value
from tenants.json_text import canonical


class FilterRow(NamedTuple):
    id: UUID
    workflow_id: UUID
    scope: str
    expression: str
    payload: bytes
    revision: str
    """The transaction that wrote the row last."""


class NewFilter(NamedTuple):
    """`payload` is a JSON object text."""

    scope: str
    expression: str
    payload: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of what makes the filter unique; the order of the payload's keys is not."""
        payload = canonical(self.payload)
        parts = (self.scope.encode(), self.expression.encode(), payload)
        return hashlib.sha256(b"\0".join(parts)).digest()


class Failure(NamedTuple):
    source: CelSource
    workflow_id: UUID
    event_id: UUID | None
    expression: str
    error: str


def drop_declared(workflow_id: UUID) -> Query[UUID]:
    return Query("filter.drop_declared", {"workflow_id": workflow_id}, the_value)


def insert(
    tenant_id: UUID,
    workflow_id: UUID,
    filters: Sequence[NewFilter],
    *,
    is_declared: bool,
    now: datetime,
) -> Query[UUID]:
    return Query(
        "filter.insert",
        {
            "tenant_id": tenant_id,
            "workflow_id": workflow_id,
            "ids": [new_id() for _ in filters],
            "scopes": [f.scope for f in filters],
            "expressions": [f.expression for f in filters],
            "payloads": [f.payload for f in filters],
            "digests": [f.digest for f in filters],
            "is_declared": is_declared,
            "now": now,
        },
        the_value,
    )


def for_events(tenant_id: UUID, keys: Sequence[str], scopes: Sequence[str]) -> Query[FilterRow]:
    params = {"tenant_id": tenant_id, "keys": list(keys), "scopes": list(scopes)}
    return Query("filter.for_events", params, FilterRow)


def lock(tenant_id: UUID, filter_id: UUID) -> Query[FilterRow]:
    return Query("filter.lock", {"tenant_id": tenant_id, "id": filter_id}, FilterRow)


def same(workflow_id: UUID, digest: bytes, besides: UUID) -> Query[UUID]:
    params = {"workflow_id": workflow_id, "digest": digest, "id": besides}
    return Query("filter.same", params, the_value)


def update(filter_id: UUID, changed: NewFilter, now: datetime) -> Query[UUID]:
    return Query(
        "filter.update",
        {**changed._asdict(), "digest": changed.digest, "id": filter_id, "now": now},
        the_value,
    )


def delete(tenant_id: UUID, filter_id: UUID) -> Query[UUID]:
    return Query("filter.delete", {"tenant_id": tenant_id, "id": filter_id}, the_value)


def insert_failures(tenant_id: UUID, failures: Sequence[Failure], now: datetime) -> Query[UUID]:
    return Query(
        "filter.insert_failures",
        {
            "tenant_id": tenant_id,
            "ids": [new_id() for _ in failures],
            "sources": [int(f.source) for f in failures],
            "workflow_ids": [f.workflow_id for f in failures],
            "event_ids": [f.event_id for f in failures],
            "expressions": [f.expression for f in failures],
            "errors": [f.error for f in failures],
            "now": now,
        },
        the_value,
    )


def forget_failures(before: UUID) -> Query[UUID]:
    return Query("filter.forget_failures", {"before": before}, the_value)
