"""Statements of engine/sql/tenant_key.sql: the data keys of tenants, encrypted with master keys."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value


class WrappedKey(NamedTuple):
    """`master` names what it is encrypted with."""

    id: UUID
    tenant_id: UUID
    wrapped: bytes
    master: str


def current(tenant_ids: Collection[UUID]) -> Query[WrappedKey]:
    return Query("tenant_key.current", {"tenant_ids": list(tenant_ids)}, WrappedKey)


def by_ids(ids: Collection[UUID]) -> Query[WrappedKey]:
    return Query("tenant_key.by_ids", {"ids": list(ids)}, WrappedKey)


def insert(key: WrappedKey, now: datetime) -> Query[UUID]:
    return Query("tenant_key.insert", key._asdict() | {"now": now}, the_value)


def masters() -> Query[WrappedKey]:
    return Query("tenant_key.masters", {}, WrappedKey)


def not_wrapped_by(master: str, after: UUID, limit: int) -> Query[WrappedKey]:
    params = {"master": master, "after": after, "limit": limit}
    return Query("tenant_key.not_wrapped_by", params, WrappedKey)


def wrap_anew(key: WrappedKey, before: str) -> Query[UUID]:
    params = {"id": key.id, "wrapped": key.wrapped, "master": key.master, "before": before}
    return Query("tenant_key.wrap_anew", params, the_value)
