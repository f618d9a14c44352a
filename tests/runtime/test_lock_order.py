"""Whoever moves a DAG run locks the run before its tasks: else two of them wait for each other."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from engine.domain.assignment import ReadyTask
from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.ids import new_id
from engine.operations.assign_tasks import assign_tasks
from engine.operations.put_workflow import put_workflow
from engine.operations.trigger_runs import trigger_runs
from engine.runtime.engine import HatchetEngine
from engine.states import Status
from engine.store import tasks
from engine.store.async_db import AsyncDatabase
from engine.types import ReportKind, TriggerRequest
from tests.runtime.harness import PATIENCE_SECONDS, FakeWorker

DAG = WorkflowDefinition(
    "dag", (StepDefinition("a", "dag:a"), StepDefinition("b", "dag:b", parents=("a",)))
)
SIDE_BY_SIDE = WorkflowDefinition(
    "side-by-side", (StepDefinition("a", "side:a"), StepDefinition("b", "side:b"))
)
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"


async def blocks_somebody(watcher: psycopg.AsyncConnection, pid: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await (await watcher.execute(BLOCKED, [pid])).fetchone()
            if found and found[0]:
                return
            await asyncio.sleep(0.01)


async def test_an_assignment_waits_for_the_run_before_it_locks_the_task(
    conninfo: str, tenant_id: UUID
) -> None:
    database = AsyncDatabase(conninfo, max_size=2, on_committed=lambda _: None)
    await database.open()
    connect = psycopg.AsyncConnection.connect
    now = datetime.now(UTC)
    await database.run(put_workflow(tenant_id, DAG, now))
    (run_id,) = await database.run(trigger_runs(tenant_id, [TriggerRequest("dag")], now))
    (row,) = await database.fetch(tasks.of_runs([run_id]))
    ready = ReadyTask(row.id, 0, row.action_id, 1, {"default": 1}, row.version_id, row.step_id)
    async with (
        await connect(conninfo) as mover,
        await connect(conninfo, autocommit=True) as watcher,
    ):
        await mover.execute("SELECT FROM engine_run WHERE id = %s FOR UPDATE", [run_id])
        assigning = asyncio.create_task(database.run(assign_tasks([(ready, new_id())], {}, now)))
        await blocks_somebody(watcher, mover.info.backend_pid)
        await mover.execute("SELECT FROM engine_task WHERE id = %s FOR UPDATE NOWAIT", [row.id])
        await mover.rollback()
        ((_, action),) = await assigning
    assert action.task_id == row.id
    await database.close()


async def test_reports_give_way_to_whoever_has_locked_the_run_first(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, SIDE_BY_SIDE)
    worker = await FakeWorker.connect(engine, tenant_id, "side:a", "side:b")
    (run_id,) = await engine.trigger_runs(tenant_id, [TriggerRequest("side-by-side")])
    first, second = [await worker.next_start() for _ in range(2)]
    connect = psycopg.AsyncConnection.connect
    async with (
        await connect(conninfo) as mover,
        await connect(conninfo, autocommit=True) as watcher,
    ):
        await mover.execute("SELECT FROM engine_run WHERE id = %s FOR UPDATE", [run_id])
        # In one batch: the start is written at once, the end waits for the run.
        reports = asyncio.gather(
            worker.report(first, ReportKind.STARTED), worker.complete(second, b"{}")
        )
        await blocks_somebody(watcher, mover.info.backend_pid)
        # By then the reports would have looked for a deadlock; the next one to look would fail.
        await asyncio.sleep(1.2)
        await mover.execute("SELECT FROM engine_task WHERE id = %s FOR UPDATE", [first.task_id])
        await mover.rollback()
        await reports
    details = await engine.get_run_details(tenant_id, run_id)
    assert {task.status for task in details.tasks} == {Status.RUNNING, Status.COMPLETED}
