"""Every tenant has exactly one scheduler, whatever happens to leases and the database."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import psycopg
import pytest

from engine.errors import LeaseLost, Unavailable
from engine.ids import new_id
from engine.operations.rebuild_scheduler import Snapshot, load_snapshot
from engine.runtime.engine import HatchetEngine
from engine.runtime.loops.ending import end_tasks
from engine.store import leases
from engine.store.async_db import AsyncDatabase
from engine.store.query import Operation, statements
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker, engine_on, result_of, trigger, until, workflow


def owns(engine: HatchetEngine, tenant_id: UUID) -> bool:
    owner = engine.ownership.owners.get(tenant_id)
    return owner is not None and owner.is_ready


async def test_a_tenant_dropped_while_its_lease_is_ours_is_taken_up_again(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    before = await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    engine.ownership.drop(engine.ownership.owners[tenant_id])
    after = await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    assert after.metadata["epoch"] > before.metadata["epoch"]
    assert owns(engine, tenant_id)


async def test_an_outage_longer_than_the_lease_ends(
    engine: HatchetEngine,
    tenant_id: UUID,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)

    async def fail(*_: object) -> None:
        raise Unavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(AsyncDatabase, "run", fail)
        await recorder.wait_for("lease.lost", tenant_id=tenant_id)
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    assert owns(engine, tenant_id)


async def test_what_happens_while_memory_is_read_is_not_lost(
    engine: HatchetEngine,
    tenant_id: UUID,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Distrusted while it is being rebuilt, an owner is rebuilt once more."""
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    owner = engine.ownership.owners[tenant_id]
    readings = []

    def read(of: UUID, heard_since: datetime, reports_until: datetime) -> Operation[Snapshot]:
        if of == tenant_id:
            readings.append(owner.epoch)
            if len(readings) == 1:
                engine.ownership.invalidate_all()
        return load_snapshot(of, heard_since, reports_until)

    monkeypatch.setattr("engine.runtime.scheduler.owner.load_snapshot", read)
    epoch = owner.epoch
    engine.ownership.invalidate_all()
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    # What meets an outage of a moment is read once more, under the same epoch.
    assert readings[:2] == [epoch + 1, epoch + 2]
    assert set(readings[2:]) <= {epoch + 2}


async def test_an_invalidated_scheduler_goes_on_under_a_new_epoch(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    first, second = await trigger(engine, tenant_id, 2)
    action = await worker.next_start()
    assert action.task_id == first
    owner = engine.ownership.owners[tenant_id]
    epoch = owner.epoch
    engine.ownership.invalidate_all()
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    assert owner.epoch > epoch
    assert owner.machine.workers.running_count() == 1
    assert owner.machine.workers.free_slots(worker.id) == {"default": 0}
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


@pytest.mark.parametrize("lease_seconds", [leases.LEASE_SECONDS, 10_000.0])
async def test_an_engine_that_dies_silently_is_replaced(
    conninfo: str,
    tenant_id: UUID,
    recorder: Recorder,
    lease_seconds: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before its lease runs out, too: its session has ended and its heartbeats have stopped."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", lease_seconds)
    dying = HatchetEngine(conninfo)
    await dying.start()
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await end_tasks((*dying._loops, *dying._batchers))
    await dying.database.close()
    async with engine_on(conninfo) as heir:
        await recorder.wait_for("lease.taken", tenant_id=tenant_id, engine_id=heir.id)
        await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
        lost, held = dying.ownership.owners[tenant_id], heir.ownership.owners[tenant_id]
        assert held.epoch > lost.epoch


@pytest.mark.parametrize(
    ("is_present", "is_silent", "is_ended"),
    [(True, True, False), (False, False, False), (True, False, False), (False, True, True)],
)
async def test_a_slow_engine_and_one_whose_session_broke_keep_their_tenants(
    conninfo: str, tenant_id: UUID, is_present: bool, is_silent: bool, is_ended: bool
) -> None:
    other, looking = new_id(), new_id()
    database = AsyncDatabase(conninfo)
    await database.open()
    session = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
    if is_present:
        present = leases.be_present(other)
        await session.execute(statements()[present.name], present.params)
    await database.fetch(leases.renew(other, "elsewhere"))
    await database.fetch(leases.make([tenant_id]))
    await database.fetch(leases.take(other, [tenant_id]))
    if is_silent:
        await session.execute(
            "UPDATE engine_engineprocess SET heartbeat_at = now() - interval '2 s' WHERE id = %s",
            [other],
        )
    freed = await database.fetch(leases.end_silent(looking))
    assert (tenant_id in freed) is is_ended
    assert bool(await database.fetch(leases.take(looking, [tenant_id]))) is is_ended
    await session.close()
    await database.close()


async def test_a_write_under_an_old_epoch_is_refused(
    engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await recorder.wait_for("lease.taken", tenant_id=tenant_id)
    epoch = engine.ownership.owners[tenant_id].epoch
    await engine.database.fetch(leases.hold({tenant_id: epoch}))
    with pytest.raises(LeaseLost):
        await engine.database.fetch(leases.hold({tenant_id: epoch - 1}))
