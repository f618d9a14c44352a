"""Payloads on their way into rows and out of them: encrypted, and the large ones kept as objects.

The drivers of operations ask, between an operation and the database; operations see payloads as they came.
Without encryption and an object store there is no sealer, and nothing is looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeGuard, TypeVar
from uuid import UUID

import orjson

from engine.domain.payload import MARK, mark_later, mark_reason
from engine.errors import PayloadsAway
from engine.store.data_keys import DataKeys
from engine.store.object_payloads import Objects
from engine.store.query import Query
from engine.store.sealed_columns import MARKED, READ, SHOWN, WRITTEN, Payload, payloads_of
from engine.vault import envelope
from engine.vault.envelope import Unreadable
from engine.vault.objects import is_reference, parse_reference

UNREADABLE = "hatchet__unreadable"
"""What there is instead of a payload that cannot be had: an object with the reason under this name."""
_AT_ONCE_BYTES = 64 * 1024
"""More is encrypted and decrypted on a thread: an event loop has others to serve."""
_THREADS, _TRANSFERS = 8, 16

Held = bytes | Unreadable | PayloadsAway | None
"""What a row, or the object it refers to, has of a payload; or why it has nothing."""
RawRows = Sequence[tuple[Any, ...]]
Parts = Mapping[int, tuple[str, Sequence[Payload | None]]]
"""By number of their query, the parameter that holds payloads, and them."""
Result = TypeVar("Result")


class Sealer:
    """Seals and opens what passes; all methods without `async` may block.

    They raise Unavailable or PayloadsAway when keys or objects cannot be had now.
    """

    def __init__(
        self, keys: DataKeys | None, objects: Objects | None = None, *, is_encrypting: bool
    ) -> None:
        self.keys, self.objects = keys, objects
        self._is_encrypting = is_encrypting and keys is not None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="payloads")
        self._transfers = ThreadPoolExecutor(_TRANSFERS, thread_name_prefix="objects")

    # On the way in

    def seal(self, queries: Sequence[Query[Any]]) -> Sequence[Query[Any]]:
        """Return the queries with payloads as they are to be stored."""
        return self._sealed(queries, _written(queries))

    async def seal_async(self, queries: Sequence[Query[Any]]) -> Sequence[Query[Any]]:
        """The same, from an event loop."""
        written = _written(queries)
        if not written:
            return queries
        if self._can_seal_at_once(payload for _, found in written.values() for payload in found):
            return self._sealed(queries, written)
        return await _on(self._threads, lambda: self._sealed(queries, written))

    def _can_seal_at_once(self, payloads: Iterable[Payload | None]) -> bool:
        size = 0
        for payload in filter(None, payloads):
            size += len(payload.data)
            is_object = self.objects is not None and self.objects.takes(payload)
            if size > _AT_ONCE_BYTES or is_object:
                return False
            if self._is_encrypting and self._current_key(payload) is None:
                return False
        return True

    def _current_key(self, payload: Payload) -> envelope.SealingKey | None:
        return self.keys.of_tenant(payload.tenant_id) if self.keys is not None else None

    def _sealed(self, queries: Sequence[Query[Any]], written: Parts) -> Sequence[Query[Any]]:
        sealed = list(queries)
        for number, (name, payloads) in written.items():
            stored = [payload and self._stored(payload) for payload in payloads]
            params = {**queries[number].params, name: stored}
            sealed[number] = replace(queries[number], params=params)
        return type(queries)(sealed)  # type: ignore[call-arg]  # the last ones of an operation say so by it

    def _stored(self, payload: Payload) -> bytes:
        if self.objects is None or not self.objects.takes(payload):
            return self._encrypted(payload)
        return self.objects.reference_of(payload) or self.keep(payload)

    def _encrypted(self, payload: Payload) -> bytes:
        if not self._is_encrypting or self.keys is None:
            return payload.data
        if self.keys.of_tenant(payload.tenant_id) is None:
            self.keys.load_current([payload.tenant_id])
        key = self.keys.of_tenant(payload.tenant_id)
        assert key is not None
        return key.seal(payload.data)

    def keep(self, payload: Payload) -> bytes:
        """Store a payload as an object, and return what its row is to hold."""
        assert self.objects is not None
        return self.objects.keep(payload, self._encrypted(payload))

    async def keep_large(self, payloads: Iterable[Payload]) -> None:
        """Store those of these payloads that are to be objects, before anything is locked for their rows."""
        if self.objects is None:
            return
        takes, known = self.objects.takes, self.objects.reference_of
        large = [payload for payload in payloads if takes(payload) and not known(payload)]
        await asyncio.gather(
            *(_on(self._transfers, partial(self.keep, payload)) for payload in large)
        )

    # On the way out

    def open(self, query: Query[Any], rows: RawRows) -> RawRows:
        """Return the rows with payloads as they came.

        Instead of one that cannot be read any more there is an object that says so, or a mark: what a START
        is made of, and results that somebody waits for, must not be taken for data. What is an object of the
        store, or encrypted with a key that cannot be had now, is left out of STARTs with a mark as well: it is
        put in when they are sent.
        """
        number = READ[query.name]
        if not any(_is_marked(row[number]) for row in rows):
            return rows
        stored = [row[number] for row in rows]
        found = self._fetched(stored, query)
        return [
            (*row[:number], self._opened(before, content, query), *row[number + 1 :])
            if _is_marked(before)
            else row
            for row, before, content in zip(rows, stored, found, strict=True)
        ]

    async def open_async(self, query: Query[Any], rows: RawRows) -> RawRows:
        """The same, from an event loop."""
        number = READ[query.name]
        stored = [row[number] for row in rows if _is_marked(row[number])]
        if not stored:
            return rows
        if self._can_open_at_once(stored, query):
            return self.open(query, rows)
        return await _on(self._threads, lambda: self.open(query, rows))

    def _can_open_at_once(self, stored: Sequence[bytes], query: Query[Any]) -> bool:
        if sum(map(len, stored)) > _AT_ONCE_BYTES:
            return False
        if not query.is_for_start and any(map(is_reference, stored)):
            return False
        return self.keys is None or all(map(self.keys.knows, _keys_of(stored)))

    def _fetched(self, stored: Sequence[bytes | None], query: Query[Any]) -> list[Held]:
        """Return what rows or their objects hold, with the keys of all that known."""
        found: list[Held] = list(stored)
        if not query.is_for_start and any(
            data is not None and is_reference(data) for data in stored
        ):
            found = list(self._transfers.map(self._content, stored))
            away = next((held for held in found if isinstance(held, PayloadsAway)), None)
            if away is not None and query.name not in SHOWN:
                raise away
        if self.keys is not None:
            try:
                self.keys.load(_keys_of(found))
            except PayloadsAway as error:
                if not (query.is_for_start or query.name in SHOWN):
                    raise
                return [error if _is_marked(held) else held for held in found]
        return found

    def _content(self, stored: bytes | None) -> Held:
        if stored is None or not is_reference(stored):
            return stored
        try:
            return self._fetch(stored)
        except (Unreadable, PayloadsAway) as error:
            return error

    def _fetch(self, stored: bytes) -> bytes:
        if self.objects is None:
            raise Unreadable("The payload is in an object store that is not configured any more.")
        return self.objects.fetch(stored)

    def _opened(self, stored: bytes, content: Held, query: Query[Any]) -> bytes:
        try:
            if query.is_for_start and is_reference(stored):
                reference = parse_reference(stored)
                return mark_later(stored, reference.first, reference.length)
            if query.is_for_start and isinstance(content, PayloadsAway):
                return mark_later(stored, b"{", envelope.length_of(stored))
            return self._plain(content)
        except (Unreadable, PayloadsAway) as error:
            is_marked = query.is_for_start or query.name in MARKED
            return mark_reason(str(error)) if is_marked else orjson.dumps({UNREADABLE: str(error)})

    def _plain(self, content: Held) -> bytes:
        if isinstance(content, Unreadable | PayloadsAway):
            raise content
        if content is None or not _is_marked(content):
            return content or b""
        if not envelope.is_sealed(content):
            raise Unreadable("The stored payload is damaged: it ends too early.")
        if self.keys is None:
            raise Unreadable("The payload is encrypted, and encryption is switched off.")
        return envelope.unseal(content, self.keys.secret_of)

    def plain(self, stored: bytes) -> bytes:
        """Return one payload as it came. Unreadable: it cannot be had any more."""
        content = self._fetch(stored) if is_reference(stored) else stored
        if self.keys is not None:
            self.keys.load(_keys_of([content]))
        return self._plain(content)

    async def plain_async(self, stored: bytes) -> bytes:
        """The same, from an event loop."""
        return await _on(self._threads, lambda: self.plain(stored))


async def _on(threads: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(threads, work)


def _written(queries: Sequence[Query[Any]]) -> Parts:
    return {
        number: (written.data, list(payloads_of(query, written)))
        for number, query in enumerate(queries)
        if (written := WRITTEN.get(query.name)) is not None
    }


def _is_marked(stored: Held) -> TypeGuard[bytes]:
    return isinstance(stored, bytes) and stored[:1] == MARK


def _keys_of(stored: Iterable[Held]) -> set[UUID]:
    return {
        envelope.key_of(payload)
        for payload in stored
        if isinstance(payload, bytes) and envelope.is_sealed(payload)
    }


_sealer: Sealer | None = None


def sealer() -> Sealer | None:
    """Return what this process seals with; None: payloads are stored as they come."""
    return _sealer


def use(new: Sealer | None) -> None:
    global _sealer
    _sealer = new
