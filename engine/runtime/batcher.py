"""Group commit: requests of many callers become one transaction, and each gets its own answer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import psycopg

from engine.errors import HatchetError, InvalidArgument, ResourceExhausted, Unavailable
from engine.runtime.isolation import isolate
from engine.runtime.outages import wait_out

log = logging.getLogger("hatchet.batcher")

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_QUIET_TURNS, _MOST_TURNS = 8, 32


class _Waiting(NamedTuple, Generic[Item, Answer]):
    item: Item
    rows: int
    size: int
    answer: asyncio.Future[Answer]


class Batcher(Generic[Item, Answer]):
    """Collects items while the previous flush runs and hands them over together.

    An idle server flushes at once, a busy one forms bigger batches by itself; there is no timer.
    `flush` returns one answer (or exception) per item. A failing batch is halved until the item that
    breaks it fails alone. While the database is away a batch waits for it, and then for its callers
    `Unavailable`. When `max_waiting` rows wait, callers get `ResourceExhausted` instead.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        on_outage: Callable[[], None] = lambda: None,
        max_rows: int = 1000,
        max_bytes: int = 8 * 1024 * 1024,
        max_waiting: int = 50_000,
    ) -> None:
        self.name = name
        self._flush = flush
        self._on_outage = on_outage
        self._max_rows, self._max_bytes, self._max_waiting = max_rows, max_bytes, max_waiting
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._waiting_rows = 0
        self._wake = asyncio.Event()
        self._is_closing = False

    async def submit(self, item: Item, *, rows: int = 1, size: int = 0) -> Answer:
        """Wait until the item's batch has committed and return its answer."""
        return await self.put(item, rows=rows, size=size)

    def put(self, item: Item, *, rows: int = 1, size: int = 0) -> asyncio.Future[Answer]:
        """Queue an item without waiting; the future brings its answer."""
        if self._is_closing:
            raise Unavailable("the engine is stopping")
        if self._waiting_rows >= self._max_waiting:
            raise ResourceExhausted(f"too many requests wait for {self.name}; try again later")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(item, rows, size, answer))
        self._waiting_rows += rows
        self._wake.set()
        return answer

    async def run(self) -> None:
        """Flush until `close` was called and everything waiting is flushed."""
        while not (self._is_closing and not self._waiting):
            if not self._waiting:
                self._wake.clear()
                if not self._is_closing:
                    await self._wake.wait()
                continue
            await self._gather()
            await self._settle(self._take())

    async def _gather(self) -> None:
        """Let calls that are on their way come together here: they are read one after the other.

        A turn of the loop costs microseconds, a flush hundreds: flush when some turns brought nothing.
        """
        waiting, quiet = len(self._waiting), 0
        for _ in range(_MOST_TURNS):
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == waiting else 0
            if quiet == _QUIET_TURNS or self._waiting_rows >= self._max_rows:
                return
            waiting = len(self._waiting)

    def close(self) -> None:
        """Refuse new items; `run` returns when those waiting are done."""
        self._is_closing = True
        self._wake.set()

    def _take(self) -> list[_Waiting[Item, Answer]]:
        batch: list[_Waiting[Item, Answer]] = []
        rows = size = 0
        while self._waiting:
            first = self._waiting[0]
            if batch and (
                rows + first.rows > self._max_rows or size + first.size > self._max_bytes
            ):
                break
            rows += first.rows
            size += first.size
            batch.append(self._waiting.popleft())
        self._waiting_rows -= rows
        return batch

    async def _settle(self, batch: Sequence[_Waiting[Item, Answer]]) -> None:
        try:
            await isolate(self.name, batch, self._flush_together, self._refuse)
        except Unavailable as error:
            left = [waiting for waiting in batch if not waiting.answer.done()]
            _answer(left, [error] * len(left))

    async def _flush_together(self, batch: Sequence[_Waiting[Item, Answer]]) -> None:
        flush = partial(self._flush, [waiting.item for waiting in batch])
        _answer(batch, await wait_out(self.name, flush, self._on_outage))

    async def _refuse(self, waiting: _Waiting[Item, Answer], error: Exception) -> None:
        """Tell the caller of an item that cannot be written, whoever it is flushed with."""
        if isinstance(error, (psycopg.DataError, psycopg.OperationalError)):
            error = InvalidArgument(f"the database refused a value: {error}")
        elif not isinstance(error, HatchetError):
            log.error("%s: an item could not be written", self.name, exc_info=error)
        _answer([waiting], [error])


def _answer(batch: Sequence[_Waiting[Item, Answer]], answers: Sequence[Answer | Exception]) -> None:
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue  # its caller went away
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
            waiting.answer.exception()  # nobody may be waiting for it
        else:
            waiting.answer.set_result(answer)
