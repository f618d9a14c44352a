"""What waits for one client to take it off its stream, within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from engine.config import MEBIBYTE
from engine.errors import HatchetError

Item = TypeVar("Item")

MOST_ITEMS = 10_000
MOST_BYTES = 16 * MEBIBYTE


class Outbox(Generic[Item]):
    """A queue that takes no more than it may hold. Its owner decides what becomes of the rest.

    What can be had again is left for later: `on_room` is called when all is taken after something was
    not. What cannot ends the stream with `fail`, after what is waiting. One item always fits.
    """

    def __init__(
        self,
        size_of: Callable[[Item], int],
        *,
        most_items: int = MOST_ITEMS,
        most_bytes: int = MOST_BYTES,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        self._size_of, self._on_room = size_of, on_room
        self._most_items, self._most_bytes = most_items, most_bytes
        self._waiting: deque[tuple[Item, int]] = deque()
        self._wake = asyncio.Event()
        self._has_refused = self._is_over = False
        self._error: HatchetError | None = None
        self.bytes = 0
        """What the waiting items come to."""

    def __len__(self) -> int:
        return len(self._waiting)

    def has_room(self, size: int = 0) -> bool:
        """Whether another item would be taken. If not, `on_room` tells when one will be."""
        is_full = len(self._waiting) >= self._most_items or self.bytes + size > self._most_bytes
        if is_full and self._waiting:
            self._has_refused = True
            return False
        return True

    def put(self, item: Item, *, is_urgent: bool = False) -> bool:
        """Queue an item if there is room, an urgent one in any case; return whether it was taken."""
        size = self._size_of(item)
        if self._is_over or not (is_urgent or self.has_room(size)):
            return False
        self._waiting.append((item, size))
        self.bytes += size
        self._wake.set()
        return True

    def end(self) -> None:
        """Take nothing more; the iteration ends after what is waiting."""
        self._is_over = True
        self._wake.set()

    def fail(self, error: HatchetError) -> None:
        """The same, but the iteration ends with an error."""
        if not self._is_over:
            self._error = error
            self.end()

    async def __aiter__(self) -> AsyncIterator[Item]:
        while True:
            while not self._waiting:
                if self._error is not None:
                    raise self._error
                if self._is_over:
                    return
                self._wake.clear()
                await self._wake.wait()
            item, size = self._waiting.popleft()
            self.bytes -= size
            if self._has_refused and not self._waiting:
                self._has_refused = False
                self._on_room()
            yield item
