"""Batches on the wire: their settings, the action that starts one, and reports about their items."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import grpc
import pytest

from engine.domain.definition import Batch, WorkflowDefinition
from engine.ids import new_id
from engine.pb import dispatcher_pb2
from engine.pb.v1 import workflows_pb2 as pb
from engine.types import Action, ActionKind, BatchItem, BatchStart, ReportKind, TaskReport
from tests.rpc.client import TENANT_ID, Client, refusal
from tests.rpc.recording_engine import NOW, RecordingEngine

PUT = "v1.AdminService/PutWorkflow"
REPORT = "Dispatcher/SendBatchActionEvent"
BATCH_ID, FIRST, SECOND = new_id(), new_id(), new_id()


def workflow(**settings: Any) -> pb.CreateWorkflowVersionRequest:
    config = pb.TaskBatchConfig(**{"batch_max_size": 2, **settings})
    task = pb.CreateTaskOpts(readable_id="run", action="work:run", batch=config)
    return pb.CreateWorkflowVersionRequest(name="work", tasks=[task])


def stored(engine: RecordingEngine) -> Batch | None:
    ((_, definition),) = engine.calls["put_workflow"]
    assert isinstance(definition, WorkflowDefinition)
    return definition.steps[0].batch


async def test_settings_have_defaults(client: Client, engine: RecordingEngine) -> None:
    await client.call(PUT, workflow())
    assert stored(engine) == Batch(2, 1000, "", 100, broadcasts=False)


async def test_all_settings_are_taken(client: Client, engine: RecordingEngine) -> None:
    request = workflow(
        batch_max_size=100_000,
        batch_max_interval_ms=86_400_000,
        batch_group_key=" input.key ",
        batch_group_max_runs=10_000,
        broadcast_output=True,
    )
    await client.call(PUT, request)
    expected = Batch(100_000, 86_400_000, "input.key", 10_000, broadcasts=True)
    assert stored(engine) == expected


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch_max_size": 0}, "batch_max_size must be between 1 and 100000"),
        ({"batch_max_size": 100_001}, "batch_max_size must be between 1 and 100000"),
        ({"batch_max_interval_ms": 0}, "batch_max_interval_ms must be between 1 and 86400000"),
        ({"batch_max_interval_ms": -5}, "batch_max_interval_ms must be between 1 and 86400000"),
        ({"batch_group_max_runs": 0}, "batch_group_max_runs must be between 1 and 10000"),
        ({"batch_group_max_runs": 10_001}, "batch_group_max_runs must be between 1 and 10000"),
        ({"batch_group_key": "input."}, "batch_group_key"),
    ],
)
async def test_settings_out_of_range_are_refused_by_name(
    settings: dict[str, Any], named: str, client: Client, engine: RecordingEngine
) -> None:
    code, text = await refusal(client.call(PUT, workflow(**settings)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"task run: {named}" in text
    assert not engine.calls


async def test_the_start_of_a_batch_names_no_single_task(
    client: Client, engine: RecordingEngine
) -> None:
    payload = b'{"%s":{}}' % str(FIRST).encode()
    items = (BatchItem(FIRST, FIRST, 0), BatchItem(SECOND, SECOND, 4))
    start = Action(
        ActionKind.START_BATCH,
        TENANT_ID,
        run_id=BATCH_ID,
        task_id=BATCH_ID,
        step_id=new_id(),
        action_id="work:run",
        readable_id="run",
        retry_count=0,
        priority=1,
        workflow_id=new_id(),
        version_id=new_id(),
        payload=payload,
        batch=BatchStart("k", "size", NOW, items),
    )
    engine.session.actions.put_nowait(start)
    request = dispatcher_pb2.WorkerListenRequest(worker_id=str(UUID(int=1)))
    message = await client.call("Dispatcher/ListenV2", request).read()
    assert message.action_type == dispatcher_pb2.START_BATCH
    assert message.action_payload == payload.decode()
    assert (message.batchId, message.batchSize, message.batchKey) == (str(BATCH_ID), 2, "k")
    assert message.batchStartPayload.expectedSize == 2
    assert message.batchStartPayload.triggerReason == "size"
    assert message.batchStartPayload.triggerTime.ToDatetime(tzinfo=NOW.tzinfo) == NOW
    assert (message.action_id, message.retry_count) == ("work:run", 0)
    blank = (message.task_run_external_id, message.workflow_run_id, message.job_run_id)
    assert blank == ("", "", "")


def event(*items: dict[str, Any], **options: Any) -> dispatcher_pb2.BatchActionEvent:
    return dispatcher_pb2.BatchActionEvent(
        **{
            "worker_id": "w",
            "batch_id": str(BATCH_ID),
            "event_type": dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED,
            "items": [dispatcher_pb2.BatchActionEventItem(**item) for item in items],
            **options,
        }
    )


async def reported(
    client: Client, engine: RecordingEngine, request: dispatcher_pb2.BatchActionEvent
) -> list[TaskReport]:
    answer = await client.call(REPORT, request)
    assert (answer.tenant_id, answer.worker_id) == (str(TENANT_ID), "w")
    (reports,) = engine.calls["report_batch"]
    assert isinstance(reports, list)
    return reports


async def test_every_item_is_reported_on_behalf_of_its_batch(
    client: Client, engine: RecordingEngine
) -> None:
    good = {"task_run_external_id": str(FIRST), "event_payload": '{"a":1}', "retry_count": 0}
    bad = {"task_run_external_id": str(SECOND), "event_payload": "{nonsense"}
    first, second = await reported(client, engine, event(good, bad))
    assert (first.task_id, first.kind, first.payload) == (FIRST, ReportKind.COMPLETED, b'{"a":1}')
    assert (first.batch_id, first.retry_count) == (BATCH_ID, None)
    assert (second.kind, second.payload) == (
        ReportKind.FAILED,
        b"invalid json in field `taskOutput`",
    )


async def test_wishes_for_retries_are_taken_per_item(
    client: Client, engine: RecordingEngine
) -> None:
    item = {
        "task_run_external_id": str(FIRST),
        "event_payload": "boom",
        "should_not_retry": True,
        "retry_after_ms": 5,
    }
    failed = dispatcher_pb2.STEP_EVENT_TYPE_FAILED
    (told,) = await reported(client, engine, event(item, event_type=failed))
    assert (told.kind, told.payload) == (ReportKind.FAILED, b"boom")
    assert (told.should_not_retry, told.retry_after_ms) == (True, 5)


async def test_without_a_batch_the_item_names_its_attempt(
    client: Client, engine: RecordingEngine
) -> None:
    item = {"task_run_external_id": str(FIRST), "retry_count": 3}
    (told,) = await reported(client, engine, event(item, batch_id=""))
    assert (told.batch_id, told.retry_count) == (None, 3)


async def test_no_items_are_no_error(client: Client, engine: RecordingEngine) -> None:
    assert await reported(client, engine, event()) == []


@pytest.mark.parametrize(
    "request_",
    [
        event({"task_run_external_id": "not-an-id"}),
        event({"task_run_external_id": str(FIRST)}, batch_id="not-an-id"),
        event(event_type=dispatcher_pb2.STEP_EVENT_TYPE_UNKNOWN),
        event(event_type=dispatcher_pb2.STEP_EVENT_TYPE_ACKNOWLEDGED),
        event(event_type=77),
    ],
)
async def test_nonsense_is_refused(
    request_: dispatcher_pb2.BatchActionEvent, client: Client, engine: RecordingEngine
) -> None:
    code, _ = await refusal(client.call(REPORT, request_))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert not engine.calls
