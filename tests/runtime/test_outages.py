"""The database goes away in the middle of the work: nothing is lost, nothing runs twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from operator import attrgetter
from uuid import UUID

import psycopg
import pytest

from engine.errors import HatchetError, Unavailable
from engine.runtime import effects
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from engine.types import ActionKind, ReportKind, TaskReport
from tests.runtime.harness import (
    PATIENCE_SECONDS,
    FakeWorker,
    break_once,
    trigger,
    until,
    workflow,
)

KILL = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE application_name LIKE 'hatchet-engine%' AND datname = current_database()"
)


async def persist(engine: HatchetEngine, tenant_id: UUID) -> list[UUID]:
    """Trigger as clients do: what is refused as unavailable has not happened."""
    while True:
        try:
            return await trigger(engine, tenant_id)
        except Unavailable:
            await asyncio.sleep(0.02)


async def beat(worker: FakeWorker) -> None:
    while True:
        try:
            await worker.beat()
        except HatchetError:
            continue
        await asyncio.sleep(0.5)


async def test_connections_are_cut_again_and_again(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id, slots=20)
    seen: Counter[tuple[UUID, int]] = Counter()
    reports: list[asyncio.Task[None]] = []
    rounds, per_round = 6, 40

    async def work() -> None:
        async for action in worker.session:
            assert action.kind is ActionKind.START
            seen[action.task_id, action.retry_count] += 1
            report = TaskReport(
                tenant_id, action.task_id, ReportKind.COMPLETED, action.retry_count, b"{}"
            )
            reports.append(asyncio.create_task(engine.report(report)))

    tasks = [asyncio.create_task(work()), asyncio.create_task(beat(worker))]
    run_ids: list[UUID] = []
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as killer:
        for _ in range(rounds):
            calls = [asyncio.create_task(persist(engine, tenant_id)) for _ in range(per_round)]
            await asyncio.sleep(0.01)
            await killer.execute(KILL)
            run_ids += [run_id for ids in await asyncio.gather(*calls) for run_id in ids]
        await until(lambda: len(seen) >= rounds * per_round)
        await asyncio.gather(*reports)
        cursor = await killer.execute(
            "SELECT status, count(*) FROM engine_run WHERE tenant_id = %s GROUP BY 1", [tenant_id]
        )
        assert await cursor.fetchall() == [(Status.COMPLETED, rounds * per_round)]
    assert seen == Counter((run_id, 0) for run_id in run_ids)
    await until(lambda: tenant_id in engine.ownership.owners)
    owner = engine.ownership.owners[tenant_id]
    await until(lambda: owner.is_ready)
    assert owner.machine.workers.running_count() == owner.machine.waiting_count() == 0
    assert owner.machine.workers.free_slots(worker.id) == {"default": 20}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_worker_is_told_to_stop_when_the_outage_is_over(
    engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    await worker.next_start()
    outages = break_once(monkeypatch, effects, "load_cancels")
    await engine.cancel(tenant_id, [run_id])
    stop = await worker.next()
    assert (stop.kind, stop.task_id, outages) == (ActionKind.CANCEL, run_id, [])


@pytest.mark.parametrize("part", ["clock", "assignments.batcher"])
def test_an_engine_ends_when_one_of_its_loops_does(
    conninfo: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better a process that is started again than one which no longer assigns."""
    engine = HatchetEngine(conninfo)

    async def break_down() -> None:
        raise ZeroDivisionError

    async def serve() -> None:
        monkeypatch.setattr(attrgetter(part)(engine), "run", break_down)
        try:
            await engine.start()
            await asyncio.sleep(PATIENCE_SECONDS)
        finally:
            await engine.stop()

    with pytest.raises(RuntimeError, match="Event loop stopped"):
        asyncio.run(serve())
