"""Payloads in the object store as a process knows them. All of it may block, and is called on threads."""

from __future__ import annotations

import time
from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar
from uuid import UUID

from engine import telemetry
from engine.errors import PayloadsAway
from engine.store.sealed_columns import Payload
from engine.vault.envelope import Unreadable
from engine.vault.objects import NoObject, ObjectStore, new_key, parse_reference, refer, verified

REMEMBERED_BYTES = 32 * 1024 * 1024
_PAUSE_SECONDS = 0.5
"""After a failure nothing is asked for so long: a store that hangs is not to hold everything up."""
MISSING = "The object of this payload is not in the store any more."

Name = TypeVar("Name")
Value = TypeVar("Value")


class Objects:
    """Keeps large payloads, and remembers the last ones: what was written is often read soon."""

    def __init__(self, store: ObjectStore, threshold_bytes: int | None) -> None:
        self.store, self._threshold = store, threshold_bytes
        self._kept: _Remembered[tuple[UUID | None, int], tuple[bytes, bytes]] = _Remembered()
        self._read: _Remembered[str, bytes] = _Remembered()
        self._away_until = 0.0

    def takes(self, payload: Payload) -> bool:
        """Whether a payload belongs into the store."""
        is_large = self._threshold is not None and len(payload.data) > self._threshold
        return is_large and payload.kind is not None

    def reference_of(self, payload: Payload) -> bytes | None:
        """Return what the row is to hold, if the payload was kept a moment ago."""
        kept = self._kept.get((payload.owner_id, payload.kind or 0))
        return kept[1] if kept is not None and kept[0] == payload.data else None

    def keep(self, payload: Payload, content: bytes) -> bytes:
        """Store what stands for a payload; return what its row is to hold. PayloadsAway: it cannot be had now."""
        assert payload.owner_id is not None
        assert payload.kind is not None
        key = new_key(payload.tenant_id, payload.owner_id, payload.kind)
        self._refuse_while_away()
        try:
            self.store.put(str(key), content)
        except PayloadsAway as error:
            self._note(error)
            raise
        reference = refer(key, payload.data, content)
        self._kept.put(
            (payload.owner_id, payload.kind), (payload.data, reference), len(payload.data)
        )
        self._read.put(str(key), content, len(content))
        return reference

    def fetch(self, stored: bytes) -> bytes:
        """Return what the object of a row holds.

        Unreadable: it is gone, or another one. PayloadsAway: the store cannot be reached.
        """
        reference = parse_reference(stored)
        content = self._read.get(reference.key)
        if content is None:
            self._refuse_while_away()
            try:
                content = self.store.get(reference.key)
            except NoObject:
                raise Unreadable(MISSING) from None
            except PayloadsAway as error:
                self._note(error)
                raise
            self._read.put(reference.key, content, len(content))
        return verified(reference, content)

    def _refuse_while_away(self) -> None:
        if time.monotonic() < self._away_until:
            raise PayloadsAway("the object store could not be reached a moment ago; try again")

    def _note(self, error: PayloadsAway) -> None:
        self._away_until = time.monotonic() + _PAUSE_SECONDS
        telemetry.emit("payloads.away", {}, {"error": error})


class _Remembered(Generic[Name, Value]):
    """The last values, up to REMEMBERED_BYTES."""

    def __init__(self) -> None:
        self._values: OrderedDict[Name, tuple[Value, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, name: Name) -> Value | None:
        with self._lock:
            found = self._values.get(name)
            if found is not None:
                self._values.move_to_end(name)
            return found[0] if found else None

    def put(self, name: Name, value: Value, size: int) -> None:
        with self._lock:
            _, before = self._values.pop(name, (None, 0))
            self._values[name] = value, size
            self._bytes += size - before
            while self._bytes > REMEMBERED_BYTES:
                _, (_, gone) = self._values.popitem(last=False)
                self._bytes -= gone
