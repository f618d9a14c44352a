"""Statements of engine/sql/run_slot.sql: runs of several tasks in their workflow's concurrency groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from engine.store.changes import LeftSlots
from engine.store.query import Query, no_row, the_value


class NewRunSlot(NamedTuple):
    run_id: UUID
    tenant_id: UUID
    version_id: UUID
    arrival: UUID
    keys: str
    is_holding: bool = False


class HeldRow(NamedTuple):
    run_id: UUID
    version_id: UUID
    keys: str


class Arrival(NamedTuple):
    run_id: UUID
    arrival: UUID


def insert(slots: Sequence[NewRunSlot]) -> Query[None]:
    return Query(
        "run_slot.insert",
        {
            "run_ids": [s.run_id for s in slots],
            "tenant_ids": [s.tenant_id for s in slots],
            "version_ids": [s.version_id for s in slots],
            "arrivals": [s.arrival for s in slots],
            "keys": [s.keys for s in slots],
            "holdings": [s.is_holding for s in slots],
        },
        no_row,
    )


def hold(run_ids: Sequence[UUID]) -> Query[UUID]:
    return Query("run_slot.hold", {"run_ids": list(run_ids)}, the_value)


def delete(run_ids: Sequence[UUID]) -> Query[LeftSlots]:
    return Query("run_slot.delete", {"run_ids": list(run_ids)}, LeftSlots)


def held(tenant_id: UUID) -> Query[HeldRow]:
    return Query("run_slot.held", {"tenant_id": tenant_id}, HeldRow)


def arrivals(run_ids: Sequence[UUID]) -> Query[Arrival]:
    return Query("run_slot.arrivals", {"run_ids": list(run_ids)}, Arrival)
