"""The log tells of sends that happened and of missing workers, and of nothing else."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from engine.runtime.engine import HatchetEngine
from engine.runtime.writers.event_notes import EventNotes
from engine.states import TaskEventKind
from engine.types import ReportKind
from tests.recorder import Recorder
from tests.runtime.harness import FakeWorker, result_of, trigger, workflow


async def log_of(conninfo: str, task_id: UUID) -> list[str]:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute(
            "SELECT kind FROM engine_taskevent WHERE task_id = %s ORDER BY id", [task_id]
        )
        return [TaskEventKind(kind).name for (kind,) in await cursor.fetchall()]


async def test_a_start_that_was_sent_is_logged_with_the_reports(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_notes: EventNotes) -> bool:
        return False

    monkeypatch.setattr(EventNotes, "tick", never)
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    action = await worker.next_start()
    worker.session.mark_sent(action)
    worker.session.mark_sent(action)
    await worker.report(action, ReportKind.STARTED)
    await worker.complete(action)
    expected = ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]
    assert await log_of(conninfo, run_id) == expected


async def test_a_send_that_no_report_follows_is_logged_soon(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    worker.session.mark_sent(await worker.next_start())
    await engine.notes.tick()
    assert await log_of(conninfo, run_id) == ["QUEUED", "ASSIGNED", "SENT_TO_WORKER"]


async def test_what_was_not_sent_is_not_logged(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    await worker.complete(await worker.next_start())
    await engine.notes.tick()
    assert await log_of(conninfo, run_id) == ["QUEUED", "ASSIGNED", "FINISHED"]


async def test_a_task_without_a_worker_says_so_once(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, workflow())
    stranger = await FakeWorker.connect(engine, tenant_id, "other:action")
    (run_id,) = await trigger(engine, tenant_id)
    for _ in range(3):
        await stranger.beat()
        await engine.notes.tick()
    assert await log_of(conninfo, run_id) == ["QUEUED", "REQUEUED_NO_WORKER"]


async def test_a_task_that_waits_for_a_slot_does_not_lack_a_worker(
    conninfo: str, engine: HatchetEngine, tenant_id: UUID, recorder: Recorder
) -> None:
    await recorder.wait_for("scheduler.rebuilt", tenant_id=tenant_id)
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id, slots=1)
    first, second = await trigger(engine, tenant_id, 2)
    await engine.notes.tick()
    assert await log_of(conninfo, second) == ["QUEUED"]
    await worker.complete(await worker.next_start())
    await worker.complete(await worker.next_start())
    await result_of(engine, tenant_id, second)
    assert first != second
