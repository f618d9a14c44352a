"""Statements of engine/sql/payload.sql: opaque bytes beside the rows that own them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from engine.states import PayloadKind
from engine.store.query import Query, no_row


class NewPayload(NamedTuple):
    owner_id: UUID
    kind: PayloadKind
    data: bytes
    attempt: int = 0


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


def delete_outputs(owner_ids: Sequence[UUID]) -> Query[None]:
    return Query("payload.delete_outputs", {"owner_ids": list(owner_ids)}, no_row)
