"""Puts stream chunks of one attempt in order without waiting for ever."""

from __future__ import annotations

from collections.abc import Sequence

HOLD_SECONDS = 5.0
MOST_HELD, MOST_HELD_CHUNKS = 8 * 1024 * 1024, 10_000
"""Characters and chunks held for a missing one; with more it is not waited for."""


class ChunkOrder:
    """Chunks carry indices from 0. One that comes early is held for the missing ones before it.

    Pure: `now` is passed in, in seconds. A chunk without an index is let through at once.
    """

    def __init__(self) -> None:
        self._next = 0
        self._held: dict[int, str] = {}
        self._held_characters = 0
        self._held_since = 0.0

    def add(self, index: int | None, chunk: str, now: float) -> Sequence[tuple[int | None, str]]:
        """Return the chunks that may go now, in order."""
        if index is None:
            return [(None, chunk)]
        if index < self._next:
            return [(index, chunk)]  # late, after others were let go without it
        if not self._held:
            self._held_since = now
        self._held_characters += len(chunk) - len(self._held.get(index, ""))
        self._held[index] = chunk
        is_full = self._held_characters > MOST_HELD or len(self._held) > MOST_HELD_CHUNKS
        return self._release(now) or (self.flush() if is_full else [])

    def flush(self) -> Sequence[tuple[int | None, str]]:
        """Return everything held, in order: the attempt ended or waiting took too long."""
        chunks = [(index, self._held[index]) for index in sorted(self._held)]
        if chunks:
            self._next = chunks[-1][0] + 1
        self._held.clear()
        self._held_characters = 0
        return list(chunks)

    def expire(self, now: float) -> Sequence[tuple[int | None, str]]:
        """Return what was held too long for a chunk that did not come."""
        if self._held and now - self._held_since >= HOLD_SECONDS:
            return self.flush()
        return []

    @property
    def is_waiting(self) -> bool:
        return bool(self._held)

    def _release(self, now: float) -> Sequence[tuple[int | None, str]]:
        chunks: list[tuple[int | None, str]] = []
        while self._next in self._held:
            chunk = self._held.pop(self._next)
            self._held_characters -= len(chunk)
            chunks.append((self._next, chunk))
            self._next += 1
        if chunks:
            self._held_since = now
        return chunks
