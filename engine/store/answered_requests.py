"""Statements of engine/sql/answered_request.sql."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, no_row, the_value


class RequestKey(NamedTuple):
    """A tenant's key, and what was asked with it, as digests."""

    tenant_id: UUID
    key_digest: bytes
    request_digest: bytes

    @property
    def lock(self) -> int:
        """A number for the key, by which the database knows who works on it."""
        return int.from_bytes(self.key_digest[:8], signed=True) ^ (self.tenant_id.int & (2**63 - 1))


class KeptAnswer(NamedTuple):
    request_digest: bytes
    status: int
    body: bytes


def take_turn(key: RequestKey) -> Query[bool]:
    return Query("answered_request.take_turn", {"lock": key.lock}, the_value)


def find(key: RequestKey, now: datetime) -> Query[KeptAnswer]:
    return Query(
        "answered_request.find",
        {"tenant_id": key.tenant_id, "key_digest": key.key_digest, "now": now},
        lambda request_digest, status, body: KeptAnswer(bytes(request_digest), status, bytes(body)),
    )


def keep(key: RequestKey, status: int, body: bytes, expires_at: datetime) -> Query[None]:
    params = {**key._asdict(), "status": status, "body": body, "expires_at": expires_at}
    return Query("answered_request.keep", params, no_row)


def delete_expired(now: datetime) -> Query[None]:
    return Query("answered_request.delete_expired", {"now": now}, no_row)
