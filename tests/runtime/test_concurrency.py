"""Concurrency groups from trigger to worker, over take-overs as well."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest

from engine.domain.assignment import GroupId
from engine.domain.definition import Concurrency, StepDefinition, WorkflowDefinition
from engine.operations.trigger_runs import trigger_runs
from engine.runtime.engine import HatchetEngine
from engine.states import ConcurrencyStrategy, Status
from engine.store import tasks
from engine.types import ActionKind, ReportKind, TriggerRequest
from tests.runtime.harness import FakeWorker, elsewhere, engine_on, result_of, until

ROUND_ROBIN = ConcurrencyStrategy.GROUP_ROUND_ROBIN


def limited(
    strategy: ConcurrencyStrategy = ROUND_ROBIN, max_runs: int = 1, **options: object
) -> WorkflowDefinition:
    chain = (Concurrency("input.key", max_runs, strategy),)
    step = StepDefinition("run", "work:run", concurrency=chain, **options)  # type: ignore[arg-type]  # free options
    return WorkflowDefinition("work", (step,))


async def trigger(
    engine: HatchetEngine, tenant_id: UUID, key: str = "k", count: int = 1
) -> list[UUID]:
    request = TriggerRequest("work", input=b'{"key":"%s"}' % key.encode())
    return await engine.trigger_runs(tenant_id, [request] * count)


async def status_of(engine: HatchetEngine, tenant_id: UUID, run_id: UUID) -> Status:
    """Wait for a run's end, and return how it ended."""
    await result_of(engine, tenant_id, run_id)
    return (await engine.get_run_details(tenant_id, run_id)).status


async def test_one_after_another_of_one_key_and_other_keys_beside_it(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id)
    first, second, third = await trigger(engine, tenant_id, count=3)
    running = await worker.next_start()
    (other,) = await trigger(engine, tenant_id, "other")
    beside = await worker.next_start()
    assert (running.task_id, beside.task_id) == (first, other)
    for expected in (second, third):
        await worker.complete(running)
        running = await worker.next_start()
        assert running.task_id == expected


async def test_a_released_slot_of_the_worker_is_not_one_of_the_group(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    first, second = await trigger(engine, tenant_id, count=2)
    running = await worker.next_start()
    await engine.release_slot(tenant_id, first)
    (other,) = await trigger(engine, tenant_id, "other")
    assert (await worker.next_start()).task_id == other
    await worker.complete(running)
    await engine.cancel(tenant_id, [other])
    actions = [await worker.next(), await worker.next()]
    started = [action.task_id for action in actions if action.kind is ActionKind.START]
    assert started == [second]


async def test_the_newest_takes_the_place_of_the_running_which_is_told_to_stop(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited(ConcurrencyStrategy.CANCEL_IN_PROGRESS))
    worker = await FakeWorker.connect(engine, tenant_id)
    (old,) = await trigger(engine, tenant_id)
    assert (await worker.next_start()).task_id == old
    (new,) = await trigger(engine, tenant_id)
    actions = {action.kind: action for action in [await worker.next(), await worker.next()]}
    assert actions[ActionKind.CANCEL].task_id == old
    assert actions[ActionKind.START].task_id == new
    assert await status_of(engine, tenant_id, old) is Status.CANCELLED
    await worker.complete(actions[ActionKind.START])
    assert await status_of(engine, tenant_id, new) is Status.COMPLETED


async def test_newcomers_that_do_not_fit_are_cancelled_without_any_worker(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited(ConcurrencyStrategy.CANCEL_NEWEST))
    first, second, third = await trigger(engine, tenant_id, count=3)
    for run_id in (second, third):
        assert await status_of(engine, tenant_id, run_id) is Status.CANCELLED
    worker = await FakeWorker.connect(engine, tenant_id)
    assert (await worker.next_start()).task_id == first


async def test_a_retry_at_once_comes_before_those_who_wait(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited(retries=1))
    worker = await FakeWorker.connect(engine, tenant_id)
    first, second = await trigger(engine, tenant_id, count=2)
    await worker.report(await worker.next_start(), ReportKind.FAILED, b"boom")
    again = await worker.next_start()
    assert (again.task_id, again.retry_count) == (first, 1)
    await worker.complete(again)
    assert (await worker.next_start()).task_id == second


@pytest.mark.parametrize("way", ["rebuilt", "another engine"])
async def test_a_new_scheduler_keeps_the_limits(
    way: str, conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited(max_runs=2))
    worker = await FakeWorker.connect(engine, tenant_id)
    runs = await trigger(engine, tenant_id, count=5)
    held = [await worker.next_start(), await worker.next_start()]
    if way == "rebuilt":
        owner = engine.ownership.owners[tenant_id]
        engine.ownership.invalidate_all()
        await until(lambda: owner.is_ready or tenant_id in engine.ownership.owners)
    else:
        async with engine_on(conninfo) as other:
            await until(lambda: bool(other.ownership.owners))
    await until(lambda: _knows(engine, tenant_id, 5))
    groups = engine.ownership.owners[tenant_id].machine.groups
    assert sorted(groups.holders(_group(engine, tenant_id))) == sorted(a.task_id for a in held)
    seen = {action.task_id for action in held}
    while len(seen) < len(runs):
        await worker.complete(held.pop(0))
        held.append(await worker.next_start())
        seen.add(held[-1].task_id)
    assert seen == set(runs)


async def test_what_other_processes_trigger_is_limited_too(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id)
    requests = [TriggerRequest("work", input=b'{"key":"k"}')] * 2
    first, second = await elsewhere(trigger_runs(tenant_id, requests, datetime.now(UTC)))
    running = await worker.next_start()
    assert running.task_id == first
    groups = engine.ownership.owners[tenant_id].machine.groups
    await until(lambda: groups.blocking(second) is not None)
    await worker.complete(running)
    assert (await worker.next_start()).task_id == second


def shared(name: str, max_runs: int) -> WorkflowDefinition:
    chain = (Concurrency("input.key", max_runs, ROUND_ROBIN, name="everyone"),)
    return WorkflowDefinition(name, (StepDefinition("run", "work:run", concurrency=chain),))


async def test_workflows_share_a_strategy_of_the_tenant_and_the_last_registration_counts(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    for name in ("work", "play"):
        await engine.put_workflow(tenant_id, shared(name, 1))
    worker = await FakeWorker.connect(engine, tenant_id)
    (first,) = await trigger(engine, tenant_id)
    play = TriggerRequest("play", input=b'{"key":"k"}')
    second, third, fourth = await engine.trigger_runs(tenant_id, [play] * 3)
    running = await worker.next_start()
    assert running.task_id == first
    groups = engine.ownership.owners[tenant_id].machine.groups
    assert groups.blocking(second) is not None
    await engine.put_workflow(tenant_id, shared("play", 2))
    assert (await worker.next_start()).task_id == second
    await worker.complete(running)
    assert (await worker.next_start()).task_id == third
    await engine.put_workflow(tenant_id, shared("work", 1))
    await engine.cancel(tenant_id, [second])
    assert groups.blocking(fourth) is not None


async def test_the_owner_learns_what_another_engine_registered(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, shared("work", 1))
    worker = await FakeWorker.connect(engine, tenant_id)
    async with engine_on(conninfo) as other:
        await until(lambda: bool(other.ownership.owners))
        engines = (engine, other)
        owner = next(e for e in engines if tenant_id in e.ownership.owners)
        await until(lambda: owner.ownership.owners[tenant_id].is_ready)
        first, second = await trigger(engine, tenant_id, count=2)
        assert (await worker.next_start()).task_id == first
        registrar = other if owner is engine else engine
        await registrar.put_workflow(tenant_id, shared("work", 2))
        assert (await worker.next_start()).task_id == second


async def test_the_schedule_timeout_starts_anew_when_a_task_leaves_its_group_for_the_queue(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, limited())
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    (busy,) = await trigger(engine, tenant_id, "other")
    assert (await worker.next_start()).task_id == busy
    first, waiting = await trigger(engine, tenant_id, count=2)
    before = await _due_at(engine, tenant_id, waiting)
    await engine.cancel(tenant_id, [first])
    async with asyncio.timeout(20):
        while await _due_at(engine, tenant_id, waiting) == before:  # noqa: ASYNC110  # only a row says it
            await asyncio.sleep(0.02)
    assert engine.ownership.owners[tenant_id].machine.is_waiting(waiting)


async def _due_at(engine: HatchetEngine, tenant_id: UUID, task_id: UUID) -> datetime | None:
    (row,) = await engine.database.fetch(tasks.by_ids(tenant_id, [task_id]))
    return row.due_at


def _knows(engine: HatchetEngine, tenant_id: UUID, count: int) -> bool:
    owner = engine.ownership.owners.get(tenant_id)
    return owner is not None and owner.is_ready and len(owner.machine.groups.attempts()) == count


def _group(engine: HatchetEngine, tenant_id: UUID) -> GroupId:
    groups = engine.ownership.owners[tenant_id].machine.groups
    waiting = next(
        claim for task_id, _ in groups.attempts() if (claim := groups.blocking(task_id)) is not None
    )
    return waiting.group
