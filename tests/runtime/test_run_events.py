"""Clients that follow runs hear everything of them, also of runs that end in no time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import orjson
import pytest

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.runtime.engine import HatchetEngine
from engine.types import (
    Action,
    EventInput,
    ReportKind,
    StreamEvent,
    StreamEventKind,
    TriggerRequest,
)
from tests.runtime.harness import PATIENCE_SECONDS, FakeWorker, trigger, until, workflow

MARKED = TriggerRequest("work", additional_metadata=b'{"order":"7"}')


async def heard_of(events: AsyncIterator[StreamEvent]) -> list[StreamEvent]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [event async for event in events]


async def start_marked(engine: HatchetEngine, tenant_id: UUID) -> UUID:
    (run_id,) = await engine.trigger_runs(tenant_id, [MARKED])
    return run_id


@pytest.mark.parametrize("in_time", [0, 1, 2])
async def test_chunks_that_the_end_of_their_run_overtook_come_in_order_before_the_hangup(
    engine: HatchetEngine, tenant_id: UUID, in_time: int
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    action = await worker.next_start()
    events = await engine.stream_run_events(tenant_id, run_id)
    for position, (index, text) in enumerate(((3, "d"), (1, "b"), (0, "a"), (2, "c"))):
        if position == in_time:
            await worker.complete(action)
        await engine.put_stream_event(tenant_id, action.task_id, text, index)
    heard = await heard_of(events)
    chunks = [event.payload for event in heard if event.kind is StreamEventKind.STREAM]
    assert (chunks, heard[-1].hangup) == (["a", "b", "c", "d"], True)


async def test_chunks_of_a_retry_that_come_together_keep_their_order(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow(retries=1))
    worker = await FakeWorker.connect(engine, tenant_id)
    (run_id,) = await trigger(engine, tenant_id)
    action = await worker.next_start()
    events = await engine.stream_run_events(tenant_id, run_id)
    await engine.put_stream_event(tenant_id, action.task_id, "first", 0)
    await worker.report(action, ReportKind.FAILED, b"again")
    again = await worker.next_start()
    async with asyncio.TaskGroup() as together:
        for index, text in enumerate("abc"):
            put = engine.put_stream_event(tenant_id, again.task_id, text, index)
            together.create_task(put, name=text)
    await worker.complete(again)
    heard = await heard_of(events)
    chunks = [(e.payload, e.retry_count) for e in heard if e.kind is StreamEventKind.STREAM]
    assert chunks == [("first", 0), ("a", 1), ("b", 1), ("c", 1)]


async def test_a_run_that_ended_between_two_looks_is_told_to_those_who_follow_its_metadata(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    await engine.put_workflow(tenant_id, workflow())
    past, live = [await start_marked(engine, tenant_id) for _ in range(2)]
    await engine.cancel(tenant_id, [past])
    events = await engine.stream_metadata_events(tenant_id, "order", "7")
    await until(lambda: engine.streams.is_followed(live))
    quick = await start_marked(engine, tenant_id)
    await engine.cancel(tenant_id, [quick])
    async with asyncio.timeout(PATIENCE_SECONDS):
        told = [await anext(events), await anext(events)]
    assert [(event.resource_id, event.is_run, event.hangup) for event in told] == [
        (quick, False, False),
        (quick, True, False),
    ]
    assert {event.kind for event in told} == {StreamEventKind.CANCELLED}
    await engine.cancel(tenant_id, [live])
    rest = await heard_of(events)
    assert {event.run_id for event in rest} == {live} and rest[-1].hangup


async def test_a_task_is_told_whether_an_event_started_its_run(
    engine: HatchetEngine, tenant_id: UUID
) -> None:
    definition = WorkflowDefinition(
        "work", (StepDefinition("run", "work:run"),), event_triggers=("order:paid",)
    )
    await engine.put_workflow(tenant_id, definition)
    worker = await FakeWorker.connect(engine, tenant_id)

    def trigger_of(action: Action) -> object:
        return orjson.loads(action.payload)["triggered_by"]

    await trigger(engine, tenant_id)
    assert trigger_of(await worker.next_start()) == "manual"
    await engine.push_events(tenant_id, [EventInput("order:paid", b"{}")])
    assert trigger_of(await worker.next_start()) == "event"
