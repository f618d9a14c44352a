"""Durable tasks that are given up while they wait."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest

from engine.domain.definition import Concurrency, WorkflowDefinition
from engine.domain.durable import delivery as conversation
from engine.domain.durable.calls import MemoCall
from engine.ids import new_id
from engine.operations.durable.evict_tasks import Evicted, Eviction
from engine.runtime.durable import service
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.replies import Completed, EvictionTaken, Superseded
from engine.runtime.engine import HatchetEngine
from engine.states import ConcurrencyStrategy, TaskEventKind
from engine.types import Action, ActionKind, ReportKind, TaskReport
from tests.runtime.durable import LONG, ONE, Worker, begin, event, history, push, sleep
from tests.runtime.harness import break_once, engine_on, result_of, settled, trigger, until


async def test_an_eviction_frees_the_slot_and_an_event_brings_the_task_back(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id, slots=1)
    await worker.wait(action, event("go"))
    (other_id,) = await trigger(engine, tenant_id)
    await worker.evict(action)
    other = await worker.start()
    assert other.task_id == other_id
    await push(engine, tenant_id, "go")
    await worker.worker.complete(other)
    again = await worker.start()
    assert (again.task_id, again.retry_count, again.durable_invocation) == (action.task_id, 0, 2)
    assert await worker.wait(again, event("go")) == ONE
    assert (await worker.told(Completed)).completion.invocation == 2
    await worker.worker.complete(again)
    await result_of(engine, tenant_id, action.task_id)
    kinds = await history(conninfo, action)
    assert kinds.count(TaskEventKind.STARTED) == kinds.count(TaskEventKind.ASSIGNED) == 2


async def test_what_comes_while_a_task_is_evicted_brings_it_back_and_is_not_told_before(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    submit = engine.durable.evictions.submit

    async def overtaken(item: Eviction) -> Evicted:
        await push(engine, tenant_id, "go")
        return await submit(item)

    monkeypatch.setattr(engine.durable.evictions, "submit", overtaken)
    await worker.evict(action)
    assert (await worker.start()).durable_invocation == 2


async def give_up_too_late(engine: HatchetEngine, tenant_id: UUID) -> tuple[Worker, Action]:
    """A task whose worker asks for its eviction when a completion is on its way to it."""
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, sleep("0s"))
    await worker.told(Completed)
    await worker.stream.take(Evict(action.task_id, 1))
    await worker.told_nothing()
    return worker, action


async def test_a_task_that_ends_while_it_is_given_up_is_not_delivered_again(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await give_up_too_late(engine, tenant_id)
    await worker.worker.complete(action)
    assert await worker.told(EvictionTaken) == (action.task_id, 1)
    await result_of(engine, tenant_id, action.task_id)
    assert (await history(conninfo, action)).count(TaskEventKind.ASSIGNED) == 1


async def test_a_task_that_ends_at_another_engine_while_it_is_given_up_is_not_delivered_again(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as other:
        await settled(tenant_id, engine, other)
        worker, action = await give_up_too_late(engine, tenant_id)
        followers, engine.effects.durable._by_task = engine.effects.durable._by_task, {}
        await other.report(
            TaskReport(tenant_id, action.task_id, ReportKind.COMPLETED, action.retry_count, b"{}")
        )
        engine.effects.durable._by_task = followers
        assert await worker.told(EvictionTaken) == (action.task_id, 1)
        assert (await history(conninfo, action)).count(TaskEventKind.ASSIGNED) == 1


async def test_a_task_that_goes_on_while_it_is_given_up_is_evicted_when_it_waits_again(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await give_up_too_late(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    await worker.say_waiting(action, [node], received=1)
    assert await worker.told(EvictionTaken) == (action.task_id, 1)
    assert TaskEventKind.DURABLE_RESTORING not in await history(conninfo, action)
    await push(engine, tenant_id, "go")
    assert (await worker.start()).durable_invocation == 2


async def test_a_worker_that_waits_for_what_is_complete_after_giving_a_task_up_gets_it_back(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, action = await begin(engine, tenant_id)
    node = await worker.wait(action, event("go"))
    await push(engine, tenant_id, "go")
    await worker.told(Completed)
    # It is taken to have read that, and names the node again before its eviction is written.
    monkeypatch.setattr(conversation, "CONFIRM_SECONDS", 0.0)
    monkeypatch.setattr(conversation, "ARRIVAL_SECONDS", (0.0,))
    is_named, submit = asyncio.Event(), engine.durable.evictions.submit

    async def held_up(item: Eviction) -> Evicted:
        await is_named.wait()
        return await submit(item)

    monkeypatch.setattr(engine.durable.evictions, "submit", held_up)
    await worker.stream.take(Evict(action.task_id, 1))
    await worker.say_waiting(action, [node])
    is_named.set()
    await worker.told(EvictionTaken)
    assert (await worker.start()).durable_invocation == 2


async def test_a_worker_that_goes_on_after_giving_a_task_up_gets_it_back(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    await worker.evict(action)
    await worker.call(action, MemoCall(b"k"))
    assert (await worker.told(Superseded)).invocation == 1
    assert (await worker.start()).durable_invocation == 2


async def test_a_task_that_goes_on_during_an_outage_is_restored_when_it_is_over(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    await worker.evict(action)
    outages = break_once(monkeypatch, service, "restore_tasks")
    await worker.call(action, MemoCall(b"k"))
    assert (await worker.start()).durable_invocation == 2
    assert not outages


async def test_restoring_is_idempotent(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    assert await engine.durable.restore(tenant_id, action.task_id)
    await worker.evict(action)
    assert await engine.durable.restore(tenant_id, action.task_id)
    assert await engine.durable.restore(tenant_id, action.task_id)
    assert (await worker.start()).durable_invocation == 2
    assert not await engine.durable.restore(new_id(), action.task_id)


async def test_a_cancellation_names_the_delivery(engine: HatchetEngine, tenant_id: UUID) -> None:
    worker, action = await begin(engine, tenant_id)
    await worker.wait(action, event("go"))
    await worker.evict(action)
    await engine.durable.restore(tenant_id, action.task_id)
    again = await worker.start()
    await engine.cancel(tenant_id, [action.task_id])
    stop = await worker.worker.next()
    assert (stop.kind, stop.task_id) == (ActionKind.CANCEL, action.task_id)
    assert stop.durable_invocation == again.durable_invocation == 2


async def test_a_task_evicted_at_one_engine_goes_on_at_another(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    async with engine_on(conninfo) as second:
        _, bystander = await settled(tenant_id, engine, second)
        worker, action = await begin(bystander, tenant_id, slots=1)
        await worker.wait(action, event("go"))
        await worker.evict(action)
        await push(bystander, tenant_id, "go")
        again = await worker.start()
        assert (again.task_id, again.durable_invocation) == (action.task_id, 2)
        assert (await history(conninfo, action)).count(TaskEventKind.STARTED) == 2


@pytest.mark.parametrize("is_invalidated", [False, True])
async def test_an_evicted_task_keeps_its_place_in_its_concurrency_group(
    is_invalidated: bool, engine: HatchetEngine, tenant_id: UUID
) -> None:
    limit = Concurrency("'one'", 1, ConcurrencyStrategy.GROUP_ROUND_ROBIN)
    (step,) = LONG.steps
    await engine.put_workflow(
        tenant_id, WorkflowDefinition("work", (replace(step, concurrency=(limit,)),))
    )
    worker = await Worker.connect(engine, tenant_id)
    first, second = await trigger(engine, tenant_id, 2)
    action = await worker.start()
    assert action.task_id == first
    await worker.wait(action, event("go"))
    await worker.evict(action)
    if is_invalidated:
        engine.ownership.invalidate_all()
        await until(lambda: not engine.ownership.owners[tenant_id].is_ready)
        await until(lambda: engine.ownership.owners[tenant_id].is_ready)
    await push(engine, tenant_id, "go")
    again = await worker.start()
    assert (again.task_id, again.durable_invocation) == (first, 2)
    await worker.worker.complete(again)
    assert (await worker.start()).task_id == second
