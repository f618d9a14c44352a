"""Workers that start together register the same workflow at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from engine.domain.definition import DefaultFilter, StepDefinition, WorkflowDefinition
from engine.models import Cron, EventTrigger, Filter, Workflow, WorkflowVersion
from engine.operations.put_workflow import PutWorkflow, put_workflow
from engine.store.async_db import AsyncDatabase

WORKERS = 8


def test_many_registrations_of_one_definition_make_one_version(
    conninfo: str, tenant_id: UUID
) -> None:
    made = asyncio.run(register_together(conninfo, tenant_id))
    assert len({(put.workflow_id, put.version_id) for put in made}) == 1
    assert sum(put.is_new for put in made) == 1
    assert Workflow.objects.filter(tenant_id=tenant_id).count() == 1
    assert WorkflowVersion.objects.filter(workflow__tenant_id=tenant_id).count() == 1
    for declared in (EventTrigger, Cron, Filter):
        assert declared.objects.filter(tenant_id=tenant_id).count() == 1


async def register_together(conninfo: str, tenant_id: UUID) -> list[PutWorkflow]:
    database = AsyncDatabase(conninfo, max_size=WORKERS, on_committed=lambda _: None)
    await database.open()
    definition = WorkflowDefinition(
        "work",
        (StepDefinition("run", "work:run"),),
        event_triggers=("user:*",),
        cron_triggers=("0 3 * * *",),
        default_filters=(DefaultFilter("true", "eu"),),
    )
    now = datetime.now(UTC)
    puts = [database.run(put_workflow(tenant_id, definition, now)) for _ in range(WORKERS)]
    try:
        return await asyncio.gather(*puts)
    finally:
        await database.close()
