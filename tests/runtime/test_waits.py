"""Steps that wait, in whole engines: whoever keeps the time hears of sleeps that began elsewhere."""

from __future__ import annotations

import asyncio
from uuid import UUID

import orjson

from engine.domain.definition import StepCondition, StepDefinition, WorkflowDefinition
from engine.runtime.engine import HatchetEngine
from engine.states import ConditionAction, ConditionKind, Status
from engine.types import EventInput, TriggerRequest
from tests.runtime.harness import PATIENCE_SECONDS, FakeWorker, engine_on, result_of, settled

SLEEP = StepCondition(ConditionKind.SLEEP, ConditionAction.QUEUE, 0, "300ms", "nap", "", 0.3)
GO = StepCondition(ConditionKind.EVENT, ConditionAction.QUEUE, 1, "go", "go")
NAPS = WorkflowDefinition("naps", (StepDefinition("run", "naps:run", conditions=(SLEEP, GO)),))


async def test_a_sleep_and_an_event_at_another_engine_start_the_task(
    conninfo: str, tenant_id: UUID, engine: HatchetEngine
) -> None:
    async with engine_on(conninfo) as second:
        owner, other = await settled(tenant_id, engine, second)
        await other.put_workflow(tenant_id, NAPS)
        worker = await FakeWorker.connect(owner, tenant_id, "naps:run")
        (run_id,) = await other.trigger_runs(tenant_id, [TriggerRequest("naps")])
        await other.push_events(tenant_id, [EventInput("go", b'{"by": "test"}')])
        # The owner's clock looks of itself every 15 seconds only.
        async with asyncio.timeout(PATIENCE_SECONDS):
            action = await worker.next_start()
        assert action.run_id == run_id
        assert orjson.loads(action.payload)["triggers"] == {
            "nap": {"sleep_duration": "300ms"},
            "go": {"by": "test"},
            "filter_payload": None,
        }
        await worker.complete(action)
        assert (await result_of(other, tenant_id, run_id)).results[0].status is Status.COMPLETED


async def test_clients_hear_of_a_waiting_run_that_is_skipped(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    skip = StepCondition(ConditionKind.SLEEP, ConditionAction.SKIP, 2, "100ms", "late", "", 0.1)
    step = StepDefinition("run", "naps:run", conditions=(GO, skip))
    await engine.put_workflow(tenant_id, WorkflowDefinition("skipped", (step,)))
    (run_id,) = await engine.trigger_runs(tenant_id, [TriggerRequest("skipped")])
    (result,) = (await result_of(engine, tenant_id, run_id)).results
    assert (result.status, result.output) == (Status.COMPLETED, b'{"skipped":true}')
