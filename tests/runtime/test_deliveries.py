"""What is delivered once is not delivered again, and silent workers lose what they run in time."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from engine.runtime.controllers.lost_workers import LostWorkers
from engine.runtime.engine import HatchetEngine
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker, trigger, until, workflow


async def test_silence_counts_once_workers_had_time_to_speak(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    owner = engine.ownership.owners[tenant_id]
    deliveries = LostWorkers(engine.database, engine.effects, {tenant_id: owner})
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    await trigger(engine, tenant_id)
    first = await worker.next_start()
    owner.reports_until = float("inf")
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute(
            "UPDATE engine_worker SET last_heartbeat_at = now() - interval '50 s' WHERE id = %s",
            [worker.id],
        )
    owner.heartbeats[worker.id] = 0.0
    await deliveries.tick()
    assert owner.machine.workers.running_on(worker.id) == [(first.task_id, 0)]
    owner.reports_until = 0.0
    await deliveries.tick()
    await until(lambda: owner.machine.workers.running_on(worker.id) != [(first.task_id, 0)])


async def test_what_was_read_for_a_stream_is_not_sent_over_a_newer_one(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    await trigger(engine, tenant_id)
    first = await worker.next_start()
    run, is_read, goes_on = engine.database.run, asyncio.Event(), asyncio.Event()

    async def held_up(operation: Any) -> Any:
        found = await run(operation)
        if asyncio.current_task() is delivering and not is_read.is_set():
            assert [action.task_id for _, action in found] == [first.task_id]
            is_read.set()
            await goes_on.wait()
        return found

    monkeypatch.setattr(engine.database, "run", held_up)
    delivering = asyncio.create_task(engine.assignments.deliver_assigned([worker.id]))
    await is_read.wait()
    await worker.complete(first)
    newer = await FakeWorker.connect(engine, tenant_id, worker_id=worker.id)
    goes_on.set()
    await delivering
    (second_id,) = await trigger(engine, tenant_id)
    assert (await newer.next_start()).run_id == second_id
