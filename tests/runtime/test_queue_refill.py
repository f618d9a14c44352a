"""A queue longer than the scheduler's memory is worked off without waiting for a poll."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.ids import new_id
from engine.runtime.controllers.slow_poll import SlowPoll
from engine.runtime.engine import HatchetEngine
from engine.runtime.scheduler.owner import QUEUE_HEAD
from engine.runtime.service import WorkerSession
from engine.types import ReportKind, TaskReport, TriggerRequest, WorkerRegistration
from tenants.models import Tenant

QUEUED = 2 * QUEUE_HEAD + 300
WORKFLOW = WorkflowDefinition("long", (StepDefinition("run", "long:run"),))
REGISTRATION = WorkerRegistration("fast", ("long:run",), {"default": 700}, {})


@pytest.fixture
def tenant_id(committed_db: None) -> UUID:
    tenant = Tenant.objects.create(name="Long queue", slug=f"long-queue-{new_id()}")
    return UUID(str(tenant.pk))


async def work_off(engine: HatchetEngine, session: WorkerSession, count: int) -> list[UUID]:
    """Complete every task at once; return the tasks in the order they came."""
    seen: list[UUID] = []
    async with asyncio.TaskGroup() as reports:
        async for action in session:
            seen.append(action.task_id)
            report = TaskReport(action.tenant_id, action.task_id, ReportKind.COMPLETED)
            reports.create_task(engine.report(report))
            if len(seen) == count:
                break
    return seen


async def test_a_long_queue_needs_no_poll(
    conninfo: str, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlowPoll, "interval_seconds", 3600.0)
    engine = HatchetEngine(conninfo)
    await engine.start()
    try:
        await engine.put_workflow(tenant_id, WORKFLOW)
        run_ids = await engine.trigger_runs(tenant_id, [TriggerRequest("long")] * QUEUED)
        worker_id = await engine.register_worker(tenant_id, REGISTRATION)
        session = await engine.open_session(tenant_id, worker_id, beats_by_itself=True)
        await engine.record_heartbeat(tenant_id, worker_id)
        seen = await asyncio.wait_for(work_off(engine, session, QUEUED), 30)
        await session.close()
    finally:
        await engine.stop()
    assert sorted(seen) == sorted(run_ids)
