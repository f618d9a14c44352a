"""Every tenant has exactly one scheduler, whatever happens to leases and the database."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import psycopg
import pytest

from engine.operations.rebuild_scheduler import Snapshot, load_snapshot
from engine.runtime.engine import HatchetEngine
from engine.store import leases
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation
from tests.runtime.harness import FakeWorker, engine_on, result_of, trigger, until, workflow


def owns(engine: HatchetEngine, tenant_id: UUID) -> bool:
    owner = engine.ownership.owners.get(tenant_id)
    return owner is not None and owner.is_ready


async def test_a_tenant_dropped_while_its_lease_is_ours_is_taken_up_again(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await until(lambda: owns(engine, tenant_id))
    before = engine.ownership.owners[tenant_id]
    engine.ownership.drop(before)
    await until(lambda: owns(engine, tenant_id))
    assert engine.ownership.owners[tenant_id].epoch > before.epoch


async def test_an_outage_longer_than_the_lease_ends(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until(lambda: owns(engine, tenant_id))

    async def fail(*_: object) -> None:
        raise psycopg.OperationalError("away")

    with monkeypatch.context() as broken:
        broken.setattr(AsyncDatabase, "fetch", fail)
        await until(lambda: tenant_id not in engine.ownership.owners)
    await until(lambda: owns(engine, tenant_id))


async def test_what_happens_while_memory_is_read_is_not_lost(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Distrusted while it is being rebuilt, an owner is rebuilt once more."""
    await until(lambda: owns(engine, tenant_id))
    owner = engine.ownership.owners[tenant_id]
    readings = []

    def read(of: UUID, heard_since: datetime, reports_until: datetime) -> Operation[Snapshot]:
        if of == tenant_id:
            readings.append(owner.epoch)
            if len(readings) == 1:
                engine.ownership.distrust()
        return load_snapshot(of, heard_since, reports_until)

    monkeypatch.setattr("engine.runtime.scheduler.owner.load_snapshot", read)
    epoch = owner.epoch
    engine.ownership.distrust()
    await until(lambda: owner.is_ready)
    assert readings == [epoch + 1, epoch + 2]


async def test_a_distrusted_scheduler_goes_on_under_a_new_epoch(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    await until(lambda: owns(engine, tenant_id))
    first, second = await trigger(engine, tenant_id, 2)
    action = await worker.next_start()
    assert action.task_id == first
    owner = engine.ownership.owners[tenant_id]
    epoch = owner.epoch
    engine.ownership.distrust()
    await until(lambda: owner.is_ready)
    assert owner.epoch > epoch
    assert owner.machine.running_count() == 1
    assert owner.machine.free_slots(worker.id) == {"default": 0}
    await worker.complete(action)
    action = await worker.next_start()
    assert action.task_id == second
    await worker.complete(action)
    await result_of(engine, tenant_id, second)


async def test_two_engines_share_tenants_and_one_takes_over_from_the_other(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await until(lambda: owns(engine, tenant_id))
    async with engine_on(conninfo) as other:
        await until(lambda: bool(other.ownership.owners) and bool(engine.ownership.owners))
        await until(lambda: owns(engine, tenant_id) != owns(other, tenant_id))
        other.stop_scheduling()
        await other.ownership.give_up()
        await until(lambda: owns(engine, tenant_id))


async def test_an_engine_that_dies_silently_is_replaced_when_its_lease_runs_out(
    conninfo: str, tenant_id: UUID
) -> None:
    dying = HatchetEngine(conninfo)
    await dying.start()
    await until(lambda: owns(dying, tenant_id))
    for task in (*dying._loops, *dying._batchers):
        task.cancel()
    await asyncio.gather(*dying._loops, *dying._batchers, return_exceptions=True)
    await dying.database.close()
    async with engine_on(conninfo) as heir:
        await until(lambda: owns(heir, tenant_id))
        lost, held = dying.ownership.owners[tenant_id], heir.ownership.owners[tenant_id]
        assert held.epoch > lost.epoch


async def test_a_write_under_an_old_epoch_is_refused(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await until(lambda: owns(engine, tenant_id))
    epoch = engine.ownership.owners[tenant_id].epoch
    await engine.database.fetch(leases.hold({tenant_id: epoch}))
    with pytest.raises(psycopg.Error) as refused:
        await engine.database.fetch(leases.hold({tenant_id: epoch - 1}))
    assert refused.value.sqlstate == "HT001"
