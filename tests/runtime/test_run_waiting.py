"""Clients that wait for runs are answered once per request, whenever they ask."""

from __future__ import annotations

import asyncio
from uuid import UUID

from engine.ids import new_id
from engine.runtime.controllers.auditor import Auditor
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from tests.recorder import Recorder
from tests.runtime.harness import PATIENCE_SECONDS, FakeWorker, result_of, trigger, workflow


async def test_a_finished_run_is_answered_at_once_and_again_on_request(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    await worker.complete(await worker.next_start(), b'{"n":1}')
    subscription = engine.subscribe_runs(tenant_id)
    answers = aiter(subscription)
    for _ in range(2):
        subscription.add(run_id)
        subscription.add(run_id)
        async with asyncio.timeout(PATIENCE_SECONDS):
            finished = await anext(answers)
        assert (finished.run_id, finished.results[0].output) == (run_id, b'{"n":1}')
    assert engine.effects.subscriptions.pending() == {}


async def test_an_unknown_run_is_waited_for_without_harm(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    subscription = engine.subscribe_runs(tenant_id)
    unknown = new_id()
    subscription.add(unknown)
    (run_id,) = await trigger(engine, tenant_id)
    subscription.add(run_id)
    await engine.cancel(tenant_id, [run_id])
    async with asyncio.timeout(PATIENCE_SECONDS):
        finished = await anext(aiter(subscription))
    (result,) = finished.results
    assert (finished.run_id, result.status, result.error) == (run_id, Status.CANCELLED, "")
    assert engine.effects.subscriptions.pending() == {tenant_id: [unknown]}
    subscription.close()
    assert engine.effects.subscriptions.pending() == {}


async def test_another_tenants_runs_stay_secret(engine: HatchetEngine, tenant_id: UUID) -> None:
    await engine.put_workflow(tenant_id, workflow())
    (run_id,) = await trigger(engine, tenant_id)
    await engine.cancel(tenant_id, [run_id])
    stranger = engine.subscribe_runs(new_id())
    stranger.add(run_id)
    assert (await result_of(engine, tenant_id, run_id)).run_id == run_id
    assert engine.effects.subscriptions.awaits(stranger.tenant_id, run_id)
    stranger.close()


async def test_a_slot_whose_end_nobody_told_of_is_found_by_the_second_audit(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    owner = engine.ownership.owners[tenant_id]
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    (run_id,) = await trigger(engine, tenant_id)
    action = await worker.next_start()
    auditor = Auditor(engine.database, {tenant_id: owner})
    await auditor.tick()
    await auditor.tick()
    assert owner.machine.workers.free_slots(worker.id) == {"default": 0}
    owner_end, owner.end = owner.end, lambda *_: None  # type: ignore[method-assign]
    await worker.complete(action)
    owner.end = owner_end  # type: ignore[method-assign]
    assert owner.machine.workers.free_slots(worker.id) == {"default": 0}
    await auditor.tick()
    assert owner.machine.workers.free_slots(worker.id) == {"default": 0}
    await auditor.tick()
    assert owner.machine.workers.free_slots(worker.id) == {"default": 1}
    assert (await result_of(engine, tenant_id, run_id)).run_id == run_id


async def test_stopping_answers_what_was_accepted(conninfo: str, tenant_id: UUID) -> None:
    engine = HatchetEngine(conninfo)
    await engine.start()
    await engine.put_workflow(tenant_id, workflow())
    await trigger(engine, tenant_id)
    calls = [asyncio.create_task(trigger(engine, tenant_id)) for _ in range(50)]
    await asyncio.sleep(0)
    await engine.stop()
    answers = await asyncio.gather(*calls)
    assert len({run_id for ids in answers for run_id in ids}) == 50
