"""Workers that fall silent lose what they run, but not because nobody could hear them."""

from __future__ import annotations

from uuid import UUID

import psycopg

from engine.runtime.controllers.deliveries import Deliveries
from engine.runtime.engine import HatchetEngine
from tests.runtime.harness import FakeWorker, trigger, until, workflow


async def test_silence_counts_once_workers_had_time_to_speak(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await until(lambda: tenant_id in engine.ownership.owners)
    owner = engine.ownership.owners[tenant_id]
    await until(lambda: owner.is_ready)
    deliveries = Deliveries(engine.database, engine.aftermath, {tenant_id: owner})
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
    assert owner.machine.running_on(worker.id) == [(first.task_id, 0)]
    owner.reports_until = 0.0
    await deliveries.tick()
    await until(lambda: owner.machine.running_on(worker.id) != [(first.task_id, 0)])
