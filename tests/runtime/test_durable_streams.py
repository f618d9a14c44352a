"""Streams of workers with durable tasks, on engines in this process and the real database."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from engine.domain.durable.calls import (
    Answer,
    Call,
    MemoAnswer,
    MemoCall,
    MemoResult,
    WaitCall,
)
from engine.ids import new_id
from engine.runtime.controllers import clock
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.replies import (
    Acknowledged,
    Completed,
    Failed,
    Superseded,
)
from engine.runtime.engine import HatchetEngine
from engine.states import DurableKind
from engine.types import (
    ReportKind,
)
from tests.runtime.durable import ONE, TWO, Worker, begin, event, push, sleep
from tests.runtime.harness import (
    PATIENCE_SECONDS,
    result_of,
)


async def test_a_wait_is_acknowledged_and_then_completed(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    assert action.durable_invocation == 1
    assert await worker.wait(action, event("go")) == ONE
    await push(engine, tenant_id, "go")
    done = (await worker.told(Completed)).completion
    assert (done.node, done.invocation, done.order) == (ONE, 1, 1)
    assert done.payload == b'{"CREATE":{"go":[{"a":1}]}}'
    assert await worker.wait(action, sleep("0s")) == TWO
    assert (await worker.told(Completed)).completion.order == 2


async def test_a_sleep_ends_after_its_time_without_a_poll(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_SLOWEST_SECONDS", 3600.0)
    worker, action = await begin(engine, tenant_id)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await worker.wait(action, sleep("700ms"))
    await worker.told(Completed)
    assert loop.time() - began >= 0.7


async def test_memos_are_kept(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.call(action, MemoCall(b"k"))
    told = await worker.told(Acknowledged)
    assert told.body == MemoAnswer(ONE, existed=False)
    await worker.call(action, MemoResult(ONE, b"7"))
    done = (await worker.told(Completed)).completion
    assert (done.kind, done.node, done.order) == (DurableKind.MEMO, ONE, None)


async def test_a_child_is_completed_once_somebody_waits_for_it(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    ((node, run_id),) = await worker.spawn(action, "child")
    await worker.worker.complete(await worker.start(), b'{"n":1}')
    await result_of(engine, tenant_id, run_id)
    await worker.wait(action, sleep("0s"))
    assert (await worker.told(Completed)).completion.node == TWO
    await worker.say_waiting(action, [node])
    done = (await worker.told(Completed)).completion
    assert (done.node, done.order, done.payload) == (node, 2, b'{"n":1}')


async def test_an_awaited_child_is_completed_when_it_ends(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    ((node, _),) = await worker.spawn(action, "child")
    await worker.say_waiting(action, [node])
    child = await worker.start()
    await worker.worker.report(child, ReportKind.FAILED, b"it broke")
    done = (await worker.told(Completed)).completion
    assert (done.node, done.error) == (node, "it broke")


async def test_after_a_reset_nothing_waits_for_what_the_branch_before_was_told_of(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    for key in "ab":
        await worker.wait(action, event(key))
        await push(engine, tenant_id, key)
        await worker.told(Completed)
    await worker.worker.complete(action)
    await result_of(engine, tenant_id, action.task_id)
    await engine.durable.branch(tenant_id, action.task_id, 2, 1)
    again = await worker.start()
    await worker.say_waiting(again, [await worker.wait(again, event("a"))])
    assert (await worker.told(Completed)).completion.order == 1
    await worker.wait(again, event("b"))
    await push(engine, tenant_id, "b")
    assert (await worker.told(Completed)).completion.order == 3


@pytest.mark.parametrize("is_refused", [False, True])
async def test_what_comes_while_a_call_is_recorded_is_told_after_its_answer(
    is_refused: bool, engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    is_recorded, is_pushed = asyncio.Event(), asyncio.Event()
    submit = engine.durable.calls.submit

    async def held_up(call: Call) -> Answer:
        answer = await submit(call)
        is_recorded.set()
        await is_pushed.wait()
        return answer

    monkeypatch.setattr(engine.durable.calls, "submit", held_up)
    await worker.call(action, WaitCall((event("later"),), "\0" if is_refused else None))
    await is_recorded.wait()
    await push(engine, tenant_id, "go")
    await worker.told_nothing()
    is_pushed.set()
    await worker.told(Failed if is_refused else Acknowledged)
    assert (await worker.told(Completed)).completion.node == node


async def test_a_delivery_that_is_over_is_told_so_with_the_count_it_gave(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.call(action, WaitCall((sleep("1h"),)), invocation=7)
    told = await worker.told(Superseded)
    assert (told.task_id, told.invocation) == (action.task_id, 7)
    await worker.stream.take_status([(action.task_id, 9, ONE)], {})
    assert (await worker.told(Superseded)).invocation == 9


async def test_a_call_that_is_another_than_before_is_named(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, sleep("1h"))
    await worker.worker.complete(action)
    await engine.replay(tenant_id, [action.task_id])
    again = await worker.start()
    assert (again.retry_count, again.durable_invocation) == (1, 2)
    await worker.call(again, WaitCall((sleep("2h"),)))
    told = await worker.told(Failed)
    assert told.node == ONE and "non-determinism error" in told.message
    assert "received: sleep(2h)" in told.message


async def test_tasks_that_are_not_the_tenants_are_unknown(
    engine: HatchetEngine, tenant_id: UUID, stranger_id: UUID
) -> None:
    _, action = await begin(engine, tenant_id)
    stranger = await Worker.connect(engine, stranger_id)
    for task_id in (action.task_id, new_id()):
        await stranger.stream.take(Call(stranger.tenant_id, task_id, 1, MemoCall(b"k")))
        assert "no such durable task" in (await stranger.told(Failed)).message
        await stranger.stream.take(Evict(task_id, 1))
        assert "no such durable task" in (await stranger.told(Failed)).message
        await stranger.stream.take_status([(task_id, 1, ONE)], {})
        await stranger.told(Superseded)


async def test_calls_of_one_task_are_answered_in_their_order(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    for _ in range(20):
        await worker.call(action, MemoCall(b"k"))
    told = [await worker.told(Acknowledged) for _ in range(20)]
    assert [each.body.node.node_id for each in told] == list(range(1, 21))


async def test_a_call_that_breaks_is_answered_and_so_are_those_behind_it(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, action = await begin(engine, tenant_id)

    async def break_once(_request: object) -> None:
        monkeypatch.undo()
        raise RuntimeError("a bug")

    monkeypatch.setattr(worker.stream, "_carry_out", break_once)
    for _ in range(2):
        await worker.call(action, MemoCall(b"k"))
    assert (await worker.told(Failed)).message == "internal error"
    assert (await worker.told(Acknowledged)).body.node == ONE


async def test_a_stream_that_is_drained_answers_first(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    for _ in range(20):
        await worker.call(action, MemoCall(b"k"))
    await engine.durable.drain()
    told = [reply async for reply in worker.stream]
    assert [type(reply) for reply in told] == [Acknowledged] * 20


# The older way


async def test_a_wait_with_a_key_is_heard_of_once(engine: HatchetEngine, tenant_id: UUID) -> None:
    _, action = await begin(engine, tenant_id)
    listener = engine.durable.open_listener(tenant_id)
    listener.add(action.task_id, "first")
    await engine.durable.register_signal(tenant_id, action.task_id, "first", [event("go")])
    await push(engine, tenant_id, "go")
    async with asyncio.timeout(PATIENCE_SECONDS):
        heard = await anext(aiter(listener))
    assert (heard.task_id, heard.signal) == (action.task_id, "first")
    assert heard.payload == b'{"CREATE":{"go":[{"a":1}]}}'
    late = engine.durable.open_listener(tenant_id)
    late.add(action.task_id, "first")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await anext(aiter(late))).signal == "first"
