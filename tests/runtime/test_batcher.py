"""Group commit: bigger batches under load, an own answer for each, bounded, patient."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest

from engine.domain.cel.answers import Evaluated, Question, ask, asking_for, current_answers
from engine.errors import (
    InvalidArgument,
    LeaseLost,
    LostRace,
    NotSent,
    ResourceExhausted,
    Unavailable,
)
from engine.ids import new_id
from engine.runtime.loops import outages
from engine.runtime.loops.batcher import Batcher
from engine.sandbox import pool
from engine.sandbox.turns import Job


class Sink:
    """What a batcher flushes into; `gate` holds a flush back."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.fail: Callable[[Sequence[int]], Exception | None] = lambda _: None

    async def flush(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.begun.set()
        await self.gate.wait()
        if error := self.fail(items):
            raise error
        return [item * 10 for item in items]


@asynccontextmanager
async def running(sink: Sink, **options: Any) -> AsyncIterator[Batcher[int, int]]:
    batcher: Batcher[int, int] = Batcher("test", sink.flush, **options)
    loop = asyncio.create_task(batcher.run())
    yield batcher
    batcher.close()
    sink.gate.set()
    await loop


async def test_what_comes_during_a_flush_goes_together() -> None:
    sink = Sink()
    sink.gate.clear()
    async with running(sink) as batcher:
        answers = [batcher.put(1)]
        await sink.begun.wait()
        answers += [batcher.put(item) for item in (2, 3, 4)]
        assert not any(answer.done() for answer in answers)
        sink.gate.set()
        assert await asyncio.gather(*answers) == [10, 20, 30, 40]
    assert sink.batches == [[1], [2, 3, 4]]


async def test_what_comes_a_few_turns_later_goes_along() -> None:
    sink = Sink()
    async with running(sink) as batcher:
        answers = []
        for item in (1, 2, 3):
            answers.append(batcher.put(item))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert await asyncio.gather(*answers) == [10, 20, 30]
    assert sink.batches == [[1, 2, 3]]


async def test_what_never_stops_coming_holds_nothing_back() -> None:
    sink = Sink()
    async with running(sink) as batcher:
        answers = [batcher.put(0)]
        while not sink.begun.is_set():
            assert len(answers) < 100
            answers.append(batcher.put(len(answers)))
            await asyncio.sleep(0)
        await asyncio.gather(*answers)


async def test_batches_are_bounded_in_rows_and_bytes() -> None:
    sink = Sink()
    async with running(sink, max_rows=3, max_bytes=100) as batcher:
        rows = [batcher.put(item) for item in range(7)]
        await asyncio.gather(*rows)
        sizes = [batcher.put(item, size=60) for item in range(3)]
        huge = batcher.put(9, rows=50, size=5000)
        await asyncio.gather(*sizes, huge)
    assert [len(batch) for batch in sink.batches] == [3, 3, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("size", [1, 2, 7, 32])
@pytest.mark.parametrize("position", [0, -1])
async def test_a_poison_item_fails_alone(size: int, position: int) -> None:
    sink = Sink()
    items = list(range(1, size + 1))
    poison = items[position]
    sink.fail = lambda batch: ValueError("poison") if poison in batch else None
    async with running(sink) as batcher:
        answers = [batcher.put(item) for item in items]
        results = await asyncio.gather(*answers, return_exceptions=True)
    for item, result in zip(items, results, strict=True):
        assert isinstance(result, ValueError) if item == poison else result == item * 10


async def test_a_value_that_the_database_refuses_is_no_outage() -> None:
    sink = Sink()
    sink.fail = lambda batch: InvalidArgument("depth") if 2 in batch else None
    async with running(sink) as batcher:
        answers = [batcher.put(item) for item in (1, 2, 3)]
        results = await asyncio.gather(*answers, return_exceptions=True)
    assert (results[0], results[2]) == (10, 30)
    assert isinstance(results[1], InvalidArgument)


async def test_a_full_queue_refuses_and_recovers() -> None:
    sink = Sink()
    sink.gate.clear()
    async with running(sink, max_waiting=2) as batcher:
        first = batcher.put(1)
        await sink.begun.wait()
        waiting = [batcher.put(2), batcher.put(3)]
        with pytest.raises(ResourceExhausted):
            batcher.put(4)
        sink.gate.set()
        assert await asyncio.gather(first, *waiting) == [10, 20, 30]
        assert await batcher.submit(4) == 40


async def test_an_outage_is_waited_for() -> None:
    sink = Sink()
    failures = [Unavailable("gone"), NotSent("busy"), LeaseLost("gone")]
    sink.fail = lambda _: failures.pop() if failures else None
    async with running(sink) as batcher:
        assert await batcher.submit(1) == 10
    assert len(sink.batches) == 4


async def test_a_long_outage_is_told_to_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "PATIENCE_SECONDS", 0.1)
    sink = Sink()
    sink.fail = lambda _: Unavailable("gone")
    async with running(sink) as batcher:
        answers = [batcher.put(item) for item in (1, 2)]
        results = await asyncio.gather(*answers, return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable, Unavailable]
        sink.fail = lambda _: None
        assert await batcher.submit(3) == 30


async def test_a_deadlock_is_tried_again_at_once() -> None:
    sink = Sink()
    failures: list[Exception] = [LostRace("deadlock")]
    sink.fail = lambda _: failures.pop() if failures else None
    async with running(sink) as batcher:
        assert await batcher.submit(1) == 10


async def test_a_caller_that_went_away_does_not_disturb_the_others() -> None:
    sink = Sink()
    sink.gate.clear()
    async with running(sink) as batcher:
        gone, stays = (asyncio.create_task(batcher.submit(item)) for item in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        sink.gate.set()
        assert await stays == 20


async def test_closing_writes_what_was_accepted_and_takes_nothing_more() -> None:
    sink = Sink()
    sink.gate.clear()
    async with running(sink, max_rows=1) as batcher:
        answers = [batcher.put(item) for item in (1, 2, 3)]
        batcher.close()
        with pytest.raises(Unavailable):
            batcher.put(4)
        sink.gate.set()
        assert await asyncio.gather(*answers) == [10, 20, 30]


async def test_costly_expressions_keep_the_tenant_in_its_order_and_nobody_else() -> None:
    """Items below 10 are one tenant's, the others another's; item 1 asks something costly."""
    tenants = (new_id(), new_id())
    asked: Future[None] = Future()
    batches: list[list[int]] = []

    async def flush(items: Sequence[int]) -> list[int | Exception]:
        asking_for(tenants[0])
        found = ask(Question("1 + 1", "FILTER", ())) if 1 in items else Evaluated(2)
        answers = current_answers()
        assert answers is not None
        answers.insist()
        batches.append(list(items))
        return [item * (found.value or 0) for item in items]

    batcher: Batcher[int, int] = Batcher("test", flush, tenant_of=lambda item: tenants[item // 10])
    loop = asyncio.create_task(batcher.run())
    with patch.object(pool.sandbox, "submit", lambda job: _answer_after(asked, job)):
        first = [batcher.put(item) for item in (10, 1, 11, 2)]
        assert [await first[0], await first[2]] == [20, 22]
        later = [batcher.put(item) for item in (3, 12)]
        assert await later[1] == 24
        assert not any(answer.done() for answer in (first[1], first[3], later[0]))
        asked.set_result(None)
        assert [await first[1], await first[3], await later[0]] == [2, 4, 6]
        batcher.close()
        await loop
    assert batches == [[10, 11], [12], [1, 2], [3]]


def _answer_after(asked: Future[None], job: Job) -> None:
    def finish(_: Future[None]) -> None:
        job.take([Evaluated(2)] * len(job), 0.0)
        job.finish()

    asked.add_done_callback(finish)
