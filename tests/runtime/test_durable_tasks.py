"""Durable tasks in whole engines: slots, clocks, children and owners that change."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from engine.domain.definition import Concurrency, StepDefinition, WorkflowDefinition
from engine.domain.durable.calls import (
    Call,
    Completion,
    Node,
    SpawnAnswer,
    SpawnCall,
    WaitAnswer,
    WaitCall,
    WaitCondition,
)
from engine.operations.durable.await_nodes import Waiting
from engine.operations.durable.evict_tasks import Evicted, Eviction
from engine.runtime.engine import HatchetEngine
from engine.states import ConcurrencyStrategy, ConditionKind, Status
from engine.types import Action, ActionKind, EventInput, TriggerRequest
from tests.runtime.harness import (
    PATIENCE_SECONDS,
    FakeWorker,
    engine_on,
    result_of,
    settled,
    trigger,
    until,
)

DURABLE = StepDefinition("run", "work:run", is_durable=True)


def durable(**options: Any) -> WorkflowDefinition:
    return WorkflowDefinition("work", (DURABLE,), **options)


def event(key: str = "go") -> WaitCondition:
    return WaitCondition(ConditionKind.EVENT, uuid4(), key, key)


def sleep(text: str) -> WaitCondition:
    return WaitCondition(ConditionKind.SLEEP, uuid4(), text, text)


async def wait(engine: HatchetEngine, action: Action, *conditions: WaitCondition) -> Node:
    invocation = action.durable_invocation
    assert invocation is not None
    call = Call(action.tenant_id, action.task_id, invocation, WaitCall(conditions))
    body = (await engine.durable.record(call)).body
    assert isinstance(body, WaitAnswer), body
    return body.node


async def spawn(engine: HatchetEngine, action: Action) -> tuple[Node, UUID]:
    request = TriggerRequest("child", child_index=0)
    call = Call(
        action.tenant_id, action.task_id, action.durable_invocation or 0, SpawnCall((request,))
    )
    body = (await engine.durable.record(call)).body
    assert isinstance(body, SpawnAnswer), body
    return body.children[0]


async def outcome(engine: HatchetEngine, action: Action, node: Node) -> Completion:
    """Ask for the completion of a node until it is there."""
    asked = Waiting(action.tenant_id, action.task_id, action.durable_invocation or 0, node)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            (found,) = await engine.durable.lookups.submit((asked,))
            if isinstance(found, Completion):
                return found
            await asyncio.sleep(0.01)


async def evict(engine: HatchetEngine, action: Action, *unconfirmed: Node) -> Evicted:
    return await engine.durable.evictions.submit(
        Eviction(
            action.tenant_id,
            action.task_id,
            action.durable_invocation or 0,
            "waits",
            unconfirmed,
        )
    )


async def push(engine: HatchetEngine, tenant_id: UUID, key: str = "go") -> None:
    await engine.push_events(tenant_id, [EventInput(key)])


async def test_an_evicted_task_leaves_its_slot_to_others_and_comes_back_over_the_same_stream(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, durable())
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    first_id, second_id = await trigger(engine, tenant_id, 2)
    first = await worker.next_start()
    assert (first.run_id, first.durable_invocation) == (first_id, 1)
    node = await wait(engine, first, event())
    assert await evict(engine, first, node) is Evicted.EVICTED
    second = await worker.next_start()
    assert second.run_id == second_id
    await push(engine, tenant_id)
    await worker.complete(second)
    again = await worker.next_start()
    assert (again.run_id, again.retry_count, again.durable_invocation) == (first_id, 0, 2)
    assert await wait(engine, again, event()) == node
    assert (await outcome(engine, again, node)).order == 1
    await worker.complete(again)
    assert (await result_of(engine, tenant_id, first_id)).results[0].status is Status.COMPLETED


async def test_the_clock_restores_sleepers_wherever_they_fell_asleep(
    conninfo: str, tenant_id: UUID, engine: HatchetEngine
) -> None:
    async with engine_on(conninfo) as second:
        owner, other = await settled(tenant_id, engine, second)
        await other.put_workflow(tenant_id, durable())
        worker = await FakeWorker.connect(other, tenant_id)
        await trigger(other, tenant_id)
        first = await worker.next_start()
        node = await wait(other, first, sleep("300ms"))
        await evict(other, first, node)
        # The owner's clock looks of itself every 15 seconds only.
        async with asyncio.timeout(PATIENCE_SECONDS):
            again = await worker.next_start()
        assert again.durable_invocation == 2
        assert owner is not other


async def test_the_end_of_a_child_restores_its_parent(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, durable())
    child_step = StepDefinition("run", "child:run")
    await engine.put_workflow(tenant_id, WorkflowDefinition("child", (child_step,)))
    worker = await FakeWorker.connect(engine, tenant_id, "work:run", "child:run")
    await trigger(engine, tenant_id)
    parent = await worker.next_start()
    node, run_id = await spawn(engine, parent)
    child = await worker.next_start()
    assert child.run_id == run_id
    await evict(engine, parent)
    await worker.complete(child, b'{"n":1}')
    again = await worker.next_start()
    assert (again.task_id, again.durable_invocation) == (parent.task_id, 2)
    assert await spawn(engine, again) == (node, run_id)
    assert (await outcome(engine, again, node)).payload == b'{"n":1}'


@pytest.mark.parametrize("moves", [False, True])
async def test_an_evicted_task_keeps_its_place_in_its_group_whoever_schedules(
    conninfo: str, tenant_id: UUID, moves: bool
) -> None:
    one_at_a_time = Concurrency("'all'", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN)
    async with engine_on(conninfo) as engine:
        await engine.put_workflow(tenant_id, durable(concurrency=(one_at_a_time,)))
        await engine.put_workflow(
            tenant_id, WorkflowDefinition("plain", (StepDefinition("run", "plain:run"),))
        )
        # A scheduler that reads its memory while a start is under way sends it once more.
        await until(lambda: tenant_id in engine.ownership.owners)
        await until(lambda: engine.ownership.owners[tenant_id].is_ready)
        worker = await FakeWorker.connect(engine, tenant_id, "work:run", "plain:run")
        first_id, second_id = await trigger(engine, tenant_id, 2)
        first = await worker.next_start()
        assert first.run_id == first_id
        await evict(engine, first, await wait(engine, first, event()))
        if moves:
            await worker.leave()
            engine.stop_scheduling()
            await engine.stop()
            async with engine_on(conninfo) as successor:
                await finish(successor, tenant_id, worker.id, first_id, second_id)
        else:
            await finish(engine, tenant_id, worker.id, first_id, second_id)


async def finish(
    engine: HatchetEngine, tenant_id: UUID, worker_id: UUID, first_id: UUID, second_id: UUID
) -> None:
    """See that a plain run overtakes the second one, which starts only when the first is done."""
    await until(lambda: tenant_id in engine.ownership.owners)
    worker = await FakeWorker.connect(engine, tenant_id, worker_id=worker_id)
    (plain_id,) = await engine.trigger_runs(tenant_id, [TriggerRequest("plain")])
    plain = await worker.next_start()
    assert plain.run_id == plain_id
    await push(engine, tenant_id)
    again = await worker.next_start()
    assert again.run_id == first_id
    await worker.complete(again)
    assert (await worker.next_start()).run_id == second_id


async def test_a_replay_and_a_reset_have_taken_effect_when_they_return(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, durable())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    await worker.complete(await worker.next_start(), b'{"old":1}')
    await engine.replay(tenant_id, [run_id])
    assert not (await engine.get_run_details(tenant_id, run_id)).is_done
    second = await worker.next_start()
    assert (second.retry_count, second.durable_invocation) == (1, 2)
    await wait(engine, second, event())
    assert await engine.durable.branch(tenant_id, run_id, 1, 1) == 2
    told = {action.kind: action for action in [await worker.next(), await worker.next()]}
    stop, third = told[ActionKind.CANCEL], told[ActionKind.START]
    assert (stop.task_id, stop.retry_count, stop.durable_invocation) == (run_id, 1, 2)
    assert (third.retry_count, third.durable_invocation) == (2, 3)
    assert await wait(engine, third, event("other")) == Node(2, 1)
