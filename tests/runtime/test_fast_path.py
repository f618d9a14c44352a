"""A trigger that finds a free slot is committed already assigned; slots are never exceeded."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import psycopg
import pytest

from engine.runtime.engine import HatchetEngine
from engine.states import Status
from engine.types import ActionKind, ReportKind, TriggerRequest
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker, result_of, trigger, until, workflow

pytestmark = pytest.mark.usefixtures("ready")


@pytest.fixture
async def ready(engine: HatchetEngine, tenant_id: UUID, recorder: Recorder) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, workflow(retries=1))


async def test_a_run_is_running_when_its_trigger_is_answered(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    details = await engine.get_run_details(tenant_id, run_id)
    assert details.status is Status.RUNNING
    action = await worker.next_start()
    assert (action.task_id, action.retry_count) == (run_id, 0)


async def test_slots_are_never_exceeded_and_everything_runs_once(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    workers = [await FakeWorker.connect(engine, tenant_id, slots=slots) for slots in (1, 3, 7)]
    slots = dict(zip([worker.id for worker in workers], (1, 3, 7), strict=True))
    running: Counter[UUID] = Counter()
    seen: Counter[tuple[UUID, int]] = Counter()
    total = 300

    async def work(worker: FakeWorker) -> None:
        async for action in worker.session:
            running[worker.id] += 1
            assert running[worker.id] <= slots[worker.id]
            seen[action.task_id, action.retry_count] += 1
            pending.append(asyncio.create_task(finish(worker, action.task_id, action.retry_count)))

    async def finish(worker: FakeWorker, task_id: UUID, retry_count: int) -> None:
        await asyncio.sleep(0)
        fails = retry_count == 0 and task_id.int % 5 == 0
        running[worker.id] -= 1
        kind = ReportKind.FAILED if fails else ReportKind.COMPLETED
        action = type("Attempt", (), {"task_id": task_id, "retry_count": retry_count})
        await worker.report(action, kind)  # type: ignore[arg-type]

    pending: list[asyncio.Task[None]] = []
    working = [asyncio.create_task(work(worker)) for worker in workers]
    batches = [trigger(engine, tenant_id, 30) for _ in range(total // 30)]
    run_ids = [run_id for ids in await asyncio.gather(*batches) for run_id in ids]
    expected = Counter((run_id, 0) for run_id in run_ids)
    expected.update((run_id, 1) for run_id in run_ids if run_id.int % 5 == 0)
    await until(lambda: sum(seen.values()) >= expected.total())
    await asyncio.gather(*pending)
    assert seen == expected
    machine = engine.ownership.owners[tenant_id].machine
    assert machine.workers.running_count() == 0
    for worker_id, count in slots.items():
        assert machine.workers.free_slots(worker_id) == {"default": count}
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)


async def test_a_child_that_exists_already_takes_no_slot(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker = await FakeWorker.connect(engine, tenant_id, slots=3)
    (parent,) = await trigger(engine, tenant_id)
    await worker.next_start()
    child = TriggerRequest("work", parent_task_id=parent, child_index=0)
    first, again = await engine.trigger_runs(tenant_id, [child, child])
    assert await engine.trigger_runs(tenant_id, [child]) == [first] == [again]
    machine = engine.ownership.owners[tenant_id].machine
    assert machine.workers.free_slots(worker.id) == {"default": 1}


async def test_a_cancelled_task_gives_its_slot_to_the_next(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    first, second = await trigger(engine, tenant_id, 2)
    await worker.next_start()
    assert await engine.cancel(tenant_id, [first]) == [first]
    actions = [await worker.next(), await worker.next()]
    kinds = {(action.kind, action.task_id, action.retry_count) for action in actions}
    assert kinds == {(ActionKind.CANCEL, first, 0), (ActionKind.START, second, 0)}


async def test_a_released_slot_is_used_while_the_task_runs_on(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    first, second = await trigger(engine, tenant_id, 2)
    action = await worker.next_start()
    await engine.release_slot(tenant_id, first)
    assert (await worker.next_start()).task_id == second
    await worker.complete(action)
    assert (await result_of(engine, tenant_id, first)).results[0].status is Status.COMPLETED
    machine = engine.ownership.owners[tenant_id].machine
    assert machine.workers.free_slots(worker.id) == {"default": 0}


async def test_a_decision_under_a_lost_lease_is_refused_and_its_caller_answered(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    """As when an engine was paused: another one took the tenant meanwhile."""
    worker = await FakeWorker.connect(engine, tenant_id)
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute(
            "UPDATE engine_lease SET epoch = epoch + 1, engine_id = gen_random_uuid(),"
            " expires_at = now() + interval '2 seconds' WHERE tenant_id = %s",
            [tenant_id],
        )
    (run_id,) = await trigger(engine, tenant_id)
    details = await engine.get_run_details(tenant_id, run_id)
    assert details.status is Status.QUEUED
    assert tenant_id not in engine.ownership.owners
    action = await worker.next_start()
    assert action.task_id == run_id
