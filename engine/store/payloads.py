"""Statements of engine/sql/payload.sql: opaque bytes beside the rows that own them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from engine.states import PayloadKind
from engine.store.query import Query, no_row


class NewPayload(NamedTuple):
    owner_id: UUID
    kind: PayloadKind
    data: bytes
    attempt: int = 0


class ReadPayload(NamedTuple):
    """`data` is None where there was no room for it."""

    owner_id: UUID
    kind: int
    attempt: int
    length: int
    data: bytes | None


class StoredPayload(NamedTuple):
    owner_id: UUID
    kind: int
    stored: bytes


class ReadMetadata(NamedTuple):
    """Of a run or an event; `metadata` is None where there was no room for it."""

    id: UUID
    length: int
    metadata: str | None


def insert(payloads: Sequence[NewPayload]) -> Query[None]:
    return Query(
        "payload.insert",
        {
            "owner_ids": [p.owner_id for p in payloads],
            "kinds": [int(p.kind) for p in payloads],
            "attempts": [p.attempt for p in payloads],
            "data": [p.data for p in payloads],
        },
        no_row,
    )


def stored(owner_ids: Collection[UUID], most: int) -> Query[StoredPayload]:
    """Those of at most so many bytes, as they are stored."""
    params = {"owner_ids": list(owner_ids), "most": most}
    return Query("payload.stored", params, StoredPayload)


def delete_outputs(owner_ids: Sequence[UUID]) -> Query[None]:
    return Query("payload.delete_outputs", {"owner_ids": list(owner_ids)}, no_row)


def read(
    owner_ids: Collection[UUID],
    kinds: Collection[PayloadKind],
    *,
    room: int,
    first_owner_ids: Collection[UUID] = (),
) -> Query[ReadPayload]:
    return Query(
        "payload.read",
        {
            "owner_ids": list(owner_ids),
            "kinds": [int(kind) for kind in kinds],
            "room": room,
            "first_owner_ids": list(first_owner_ids),
        },
        ReadPayload,
    )
