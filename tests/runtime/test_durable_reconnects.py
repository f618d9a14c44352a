"""What workers with durable tasks are told on streams that come and go, and of replays."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.domain.durable import delivery as conversation
from engine.domain.durable.calls import Node
from engine.operations.durable.evict_tasks import Evicted, Eviction
from engine.runtime.durable.replies import Completed, Superseded
from engine.runtime.engine import HatchetEngine
from engine.states import TaskEventKind
from engine.types import Action
from tests.runtime.durable import TWO, Worker, begin, event, history, push, sleep
from tests.runtime.harness import engine_on, settled, until

LONG_TIME = 3_600.0


async def test_a_new_stream_hears_what_the_worker_still_waits_for(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, sleep("0s"))
    await worker.told(Completed)
    node = await worker.wait(action, event("go"))
    worker.stream.close()
    await push(engine, tenant_id, "go")
    worker.reconnect()
    await worker.say_waiting(action, [node], received=1)
    done = (await worker.told(Completed)).completion
    assert (done.node, done.order) == (node, 2)


async def test_a_replay_is_told_of_its_waits_even_if_the_worker_does_not_name_them(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_at_nothing() -> bool:
        return False

    monkeypatch.setattr(engine.durable, "tick", look_at_nothing)
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    await worker.evict(action)
    await push(engine, tenant_id, "go")
    again = await worker.start()
    assert await worker.wait(again, event("go")) == node
    assert (await worker.told(Completed)).completion.node == node


async def three_waits_and_an_event(engine: HatchetEngine, tenant_id: UUID) -> tuple[Worker, Action]:
    """Of three waits at once the first was completed, while the task was evicted."""
    worker, action = await begin(engine, tenant_id)
    for key in "abc":
        await worker.wait(action, event(key))
    await worker.evict(action)
    await push(engine, tenant_id, "a")
    return worker, await worker.start()


async def test_a_replay_is_told_of_a_completion_after_the_calls_that_came_before(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, again = await three_waits_and_an_event(engine, tenant_id)
    first = await worker.wait(again, event("a"))
    await worker.say_waiting(again, [first])
    for key in "bc":
        await worker.wait(again, event(key))
    assert (await worker.told(Completed)).completion.node == first


async def test_a_new_stream_tells_of_a_completion_after_calls_that_were_passed(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, again = await three_waits_and_an_event(engine, tenant_id)
    first = await worker.wait(again, event("a"))
    await worker.wait(again, event("c"))
    worker.reconnect()
    await worker.say_waiting(again, [first], received=0)
    assert await worker.wait(again, event("b")) == TWO
    assert (await worker.told(Completed)).completion.node == first


async def test_an_order_nobody_asks_for_is_given_up_after_some_evictions(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "CONFIRM_SECONDS", 0.0)
    monkeypatch.setattr(conversation, "STALL_SECONDS", (LONG_TIME,) * 3 + (0.0,))
    worker, action = await begin(engine, tenant_id)
    for key in "abc":
        await worker.wait(action, event(key))
    for key in "bc":
        await push(engine, tenant_id, key)
        await worker.told(Completed)
    await worker.evict(action)

    async def replay() -> tuple[Action, Node]:
        """Deliver the task to another stream, where its program does not come to wait for b."""
        again = await worker.start()
        worker.reconnect()
        await worker.wait(again, event("a"))
        node = await worker.wait(again, event("c"))
        await worker.say_waiting(again, [node])
        return again, node

    for _ in range(2):
        again, _ = await replay()
        await worker.evict(again)
    _, node = await replay()
    assert (await worker.told(Completed)).completion.node == node


async def test_calls_of_branches_are_known_by_what_their_delivery_was_told_of(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "CONFIRM_SECONDS", 0.0)
    worker, action = await begin(engine, tenant_id)
    ((node, _),) = await worker.spawn(action, "child")
    await worker.say_waiting(action, [node])
    await worker.worker.complete(await worker.start())
    await worker.told(Completed)
    await worker.evict(action)
    again = await worker.start()
    await worker.spawn(again, "child")
    assert await worker.wait(again, event("a")) == TWO
    last = await worker.wait(again, event("b"))
    await worker.evict(again)
    await engine.durable.restore(tenant_id, action.task_id)
    again = await worker.start()
    await worker.spawn(again, "child")
    assert await worker.wait(again, event("b")) == last
    assert await worker.wait(again, event("a")) == TWO


async def evict_unseen(engine: HatchetEngine, action: Action) -> None:
    """Evict a task whose completions are thought to have arrived."""
    item = Eviction(action.tenant_id, action.task_id, action.durable_invocation or 0, "", ())
    assert await engine.durable.evictions.submit(item) is Evicted.EVICTED


async def test_who_comes_back_and_waits_for_what_is_complete_gets_the_task_again(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    await push(engine, tenant_id, "go")
    await worker.told(Completed)
    await evict_unseen(engine, action)
    worker.reconnect()
    await worker.say_waiting(action, [node])
    await worker.told(Superseded)
    assert (await worker.start()).durable_invocation == 2


async def test_who_comes_back_and_waits_for_what_is_to_come_does_not(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    await evict_unseen(engine, action)
    worker.reconnect()
    await worker.say_waiting(action, [node])
    await worker.told(Superseded)
    await push(engine, tenant_id, "go")
    assert (await worker.start()).durable_invocation == 2
    assert (await history(conninfo, action)).count(TaskEventKind.DURABLE_RESTORING) == 1


async def test_an_old_stream_does_not_keep_a_new_one_from_hearing(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    worker.reconnect()
    await worker.say_waiting(action, [node])
    await until(lambda: len(engine.durable.routes._by_task[action.task_id]) == 2)
    await push(engine, tenant_id, "go")
    assert (await worker.told(Completed)).completion.node == node


async def test_what_no_hint_told_is_found(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    followers, engine.effects.durable._by_task = engine.effects.durable._by_task, {}
    await push(engine, tenant_id, "go")
    engine.effects.durable._by_task = followers
    await worker.told_nothing()
    await worker.stream.audit()
    await worker.told(Completed)


async def test_an_audit_tells_deliveries_that_are_over(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    followers, engine.effects.durable._by_task = engine.effects.durable._by_task, {}
    await engine.cancel(tenant_id, [action.task_id])
    engine.effects.durable._by_task = followers
    await worker.stream.audit()
    assert (await worker.told(Superseded)).task_id == action.task_id


async def test_an_event_at_another_engine_reaches_the_stream_here(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as other:
        await settled(tenant_id, engine, other)
        worker, action = await begin(engine, tenant_id)
        await worker.wait(action, event("go"))
        await push(other, tenant_id, "go")
        await worker.told(Completed)
