"""Group commit: requests of many callers become one transaction, and each gets its own answer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from functools import partial
from time import perf_counter
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from engine import telemetry
from engine.domain.cel.answers import Answers, Unanswered
from engine.errors import HatchetError, ResourceExhausted, Unavailable
from engine.runtime.loops.isolation import isolate
from engine.runtime.loops.outages import wait_out
from engine.sandbox.pool import answer_async

log = logging.getLogger("hatchet.batcher")

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_QUIET_TURNS, _MOST_TURNS = 8, 32


class _Waiting(NamedTuple, Generic[Item, Answer]):
    item: Item
    rows: int
    size: int
    answer: asyncio.Future[Answer]


class _Aside(NamedTuple, Generic[Item, Answer]):
    """What one tenant has in a batch, waiting for its expressions, and what came after it."""

    part: list[_Waiting[Item, Answer]]
    answers: Answers
    asking: asyncio.Future[None]
    behind: deque[_Waiting[Item, Answer]]


class Batcher(Generic[Item, Answer]):
    """Collects items while the previous flush runs and hands them over together.

    An idle server flushes at once, a busy one forms bigger batches by itself; there is no timer.
    `flush` returns one answer (or exception) per item. A failing batch is halved until the item that
    breaks it fails alone. While the database is away a batch waits for it, and then for its callers
    `Unavailable`. When `max_waiting` rows wait, callers get `ResourceExhausted` instead.

    Costly expressions of a tenant are evaluated while the others go on: what the tenant has in the
    batch, and all that comes after it, waits aside in its order. Without `tenant_of` they fail.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        on_outage: Callable[[], None] = lambda: None,
        tenant_of: Callable[[Item], UUID] | None = None,
        max_rows: int = 1000,
        max_bytes: int = 8 * 1024 * 1024,
        max_waiting: int = 50_000,
    ) -> None:
        self.name = name
        self._flush = flush
        self._on_outage = on_outage
        self._tenant_of = tenant_of
        self._max_rows, self._max_bytes, self._max_waiting = max_rows, max_bytes, max_waiting
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._waiting_rows = 0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._aside: dict[UUID, _Aside[Item, Answer]] = {}

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
        while self._waiting or self._aside or not self._is_closing:
            if answered := [t for t, aside in self._aside.items() if aside.asking.done()]:
                await self._bring_back(answered[0])
                continue
            if not self._waiting:
                self._wake.clear()
                if self._aside or not self._is_closing:
                    await self._wake.wait()
                continue
            await self._gather()
            if batch := self._take():
                await self._settle(batch)

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
            self._waiting.popleft()
            self._waiting_rows -= first.rows
            if self._aside and self._put_behind(first):
                continue
            rows += first.rows
            size += first.size
            batch.append(first)
        return batch

    async def _settle(
        self, batch: Sequence[_Waiting[Item, Answer]], answers: Answers | None = None
    ) -> None:
        if self._aside:
            batch = [waiting for waiting in batch if not self._put_behind(waiting)]
        if not batch:
            return
        answers = answers or Answers()
        write = partial(self._flush_together, answers)
        try:
            await isolate(self.name, batch, write, self._refuse)
        except Unanswered:
            left = [waiting for waiting in batch if not waiting.answer.done()]
            await self._settle(self._put_aside(left, answers))
        except Unavailable as error:
            left = [waiting for waiting in batch if not waiting.answer.done()]
            _answer(left, [error] * len(left))

    async def _flush_together(
        self, answers: Answers, batch: Sequence[_Waiting[Item, Answer]]
    ) -> None:
        flush = partial(self._flush, [waiting.item for waiting in batch])
        began = perf_counter()
        with answers if self._tenant_of else nullcontext():
            found = await wait_out(self.name, flush, self._on_outage)
        if telemetry.is_heard("batcher.flushed"):
            self._emit_flushed(batch, perf_counter() - began)
        _answer(batch, found)

    def _emit_flushed(self, batch: Sequence[_Waiting[Item, Answer]], seconds: float) -> None:
        rows = sum(waiting.rows for waiting in batch)
        measured = {"rows": rows, "seconds": seconds, "waiting": self._waiting_rows}
        telemetry.emit("batcher.flushed", measured, {"batcher": self.name})

    async def _refuse(self, waiting: _Waiting[Item, Answer], error: Exception) -> None:
        """Tell the caller of an item that cannot be written, whoever it is flushed with."""
        if not isinstance(error, HatchetError):
            log.error("%s: an item could not be written", self.name, exc_info=error)
        _answer([waiting], [error])

    # Costly expressions

    def _put_aside(
        self, batch: Sequence[_Waiting[Item, Answer]], answers: Answers
    ) -> list[_Waiting[Item, Answer]]:
        """Have what is asked answered, each tenant by itself; return what need not wait for that."""
        assert self._tenant_of is not None
        part_of: dict[UUID, list[_Waiting[Item, Answer]]] = {}
        for waiting in batch:
            part_of.setdefault(self._tenant_of(waiting.item), []).append(waiting)
        is_whole = len(part_of) == 1
        asking = part_of.keys() & answers.asked.values() or set(part_of)
        for tenant_id in sorted(asking):
            own = answers.part_of(tenant_id, is_whole=is_whole)
            task = asyncio.ensure_future(answer_async(own))
            task.add_done_callback(lambda _: self._wake.set())
            self._aside[tenant_id] = _Aside(part_of.pop(tenant_id), own, task, deque())
        answers.forget_asked()
        return [waiting for part in part_of.values() for waiting in part]

    def _put_behind(self, waiting: _Waiting[Item, Answer]) -> bool:
        """Let an item wait behind what its tenant has aside, if it has anything there."""
        aside = self._aside.get(self._tenant_of(waiting.item)) if self._tenant_of else None
        if aside is None:
            return False
        if len(aside.behind) >= self._max_waiting // 10:
            error = ResourceExhausted("too much waits for costly expressions; try again later")
            _answer([waiting], [error])
        else:
            aside.behind.append(waiting)
            self._waiting_rows += waiting.rows
        return True

    async def _bring_back(self, tenant_id: UUID) -> None:
        """Go on with what waited for answers; what came after it comes next."""
        answered = self._aside.pop(tenant_id)
        try:
            answered.asking.result()
        except HatchetError as error:
            _answer(answered.part, [error] * len(answered.part))
        else:
            await self._settle(answered.part, answered.answers)
        again = self._aside.get(tenant_id)
        if again is not None:
            again.behind.extend(answered.behind)
        else:
            self._waiting.extendleft(reversed(answered.behind))


def _answer(batch: Sequence[_Waiting[Item, Answer]], answers: Sequence[Answer | Exception]) -> None:
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue  # its caller went away
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
            waiting.answer.exception()  # nobody may be waiting for it
        else:
            waiting.answer.set_result(answer)
