"""Large payloads as objects: how they are named, and how a row refers to one."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from engine.domain.payload import MARK
from engine.ids import new_id
from engine.vault.envelope import Unreadable

_OBJECT = 3
_HEAD = struct.Struct("!cBQc32s")
"""Mark, form, length of the payload, its first byte, SHA-256 of the object."""
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KEY = re.compile(rf"({_UUID})/({_UUID})/([0-9]{{1,2}})-({_UUID})")
LONGEST_REFERENCE = 400


class NoObject(Exception):
    """There is no object of that name."""


class ObjectStore(Protocol):
    """All of it may block, and raises PayloadsAway when it cannot be told what became of it."""

    def put(self, key: str, content: bytes) -> None:
        """Return when the object is durable."""

    def get(self, key: str) -> bytes:
        """NoObject: it is not there."""

    def delete(self, keys: Sequence[str]) -> None:
        """What is not there does not matter."""

    def page(self, after: str) -> list[str]:
        """Return the next keys in order; none: there are no more."""

    def check(self) -> None:
        """Raise ConfigError if it cannot be used as it is configured."""


class ObjectKey(NamedTuple):
    """The name of an object says whose payload it is. `id` tells when it was written."""

    tenant_id: UUID
    owner_id: UUID
    kind: int
    id: UUID

    def __str__(self) -> str:
        return f"{self.tenant_id}/{self.owner_id}/{self.kind}-{self.id}"


def new_key(tenant_id: UUID, owner_id: UUID, kind: int) -> ObjectKey:
    return ObjectKey(tenant_id, owner_id, kind, new_id())


def parse_key(text: str) -> ObjectKey | None:
    """Return None for a name that is none of ours."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    tenant_id, owner_id, kind, identity = match.groups()
    return ObjectKey(UUID(tenant_id), UUID(owner_id), int(kind), UUID(identity))


class Reference(NamedTuple):
    """What a row holds instead of a payload: how long it is, how it begins, and which object has it."""

    length: int
    first: bytes
    digest: bytes
    key: str


def refer(key: ObjectKey, payload: bytes, content: bytes) -> bytes:
    """Return what the row holds; `content` is what the object holds."""
    digest = hashlib.sha256(content).digest()
    head = _HEAD.pack(MARK, _OBJECT, len(payload), payload[:1], digest)
    return head + str(key).encode()


def is_reference(stored: bytes) -> bool:
    return stored[:1] == MARK and stored[1:2] == b"\3" and len(stored) > _HEAD.size


def parse_reference(stored: bytes) -> Reference:
    """Unreadable: it was changed."""
    _, _, length, first, digest = _HEAD.unpack_from(stored)
    key = stored[_HEAD.size :].decode(errors="replace")
    if parse_key(key) is None:
        raise Unreadable("The stored payload is damaged: it refers to no object.")
    return Reference(length, first, digest, key)


def verified(reference: Reference, content: bytes) -> bytes:
    """Return what the object holds. Unreadable: it is not what was stored."""
    if hashlib.sha256(content).digest() != reference.digest:
        raise Unreadable("The object of this payload is damaged: it is not what was stored.")
    return content
