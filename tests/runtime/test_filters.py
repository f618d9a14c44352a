"""The payload of the filter that let an event pass reaches every attempt of every task."""

from __future__ import annotations

from uuid import UUID

import orjson

from engine.domain.definition import DefaultFilter, StepDefinition, WorkflowDefinition
from engine.runtime.engine import HatchetEngine
from engine.types import Action, EventInput, ReportKind
from tests.runtime.harness import FakeWorker

WORKFLOW = WorkflowDefinition(
    "filtered",
    (
        StepDefinition("first", "work:run", retries=1),
        StepDefinition("second", "work:run", parents=("first",)),
    ),
    event_triggers=("order:paid",),
    default_filters=(
        DefaultFilter("input.amount > payload.least", "orders", '{"least":10,"team":"a"}'),
    ),
)


def told(action: Action) -> object:
    return orjson.loads(action.payload)["triggers"]["filter_payload"]


async def test_every_attempt_is_told_the_filters_payload(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    worker = await FakeWorker.connect(engine, tenant_id)
    await engine.put_workflow(tenant_id, WORKFLOW)
    for amount, scope in ((5, "orders"), (50, None), (50, "orders")):
        payload = orjson.dumps({"amount": amount})
        await engine.push_events(tenant_id, [EventInput("order:paid", payload, scope=scope)])
    expected = {"least": 10, "team": "a"}
    action = await worker.next_start()
    assert (told(action), action.readable_id) == (expected, "first")
    await worker.report(action, ReportKind.FAILED, b"again")
    again = await worker.next_start()
    assert (told(again), again.retry_count) == (expected, 1)
    # Changing the filter changes nothing for runs there are.
    changed = WorkflowDefinition("filtered", WORKFLOW.steps, event_triggers=("order:paid",))
    await engine.put_workflow(tenant_id, changed)
    await worker.complete(again)
    second = await worker.next_start()
    assert (told(second), second.readable_id) == (expected, "second")
    await worker.complete(second)
    await engine.replay(tenant_id, [second.run_id])
    replayed = await worker.next_start()
    assert (told(replayed), replayed.run_id) == (expected, second.run_id)
    await worker.leave()
