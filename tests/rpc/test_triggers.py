"""Starting runs: what the engine is asked, and what is refused before it is."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import code_pb2, status_pb2

from engine.errors import (
    Collision,
    IdempotencyCollision,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from engine.ids import new_id
from engine.pb import workflows_pb2 as pb
from engine.pb.v1 import workflows_pb2 as v1
from engine.pb.v1.shared.trigger_pb2 import DesiredWorkerLabels, TriggerWorkflowRequest
from engine.types import DesiredLabel, TriggerRequest
from tests.rpc.client import TENANT_ID, Client, refusal
from tests.rpc.recording_engine import RecordingEngine

PARENT_RUN, PARENT_TASK, WORKER = new_id(), new_id(), new_id()
CHILD = {
    "parent_id": str(PARENT_RUN),
    "parent_task_run_external_id": str(PARENT_TASK),
    "child_index": 0,
}


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, TriggerRequest("Orders")),
        ({"input": " "}, TriggerRequest("Orders")),
        ({"input": '{"n": 1.0}'}, TriggerRequest("Orders", b'{"n": 1.0}')),
        (
            {"additional_metadata": '{"a":"b"}', "priority": 3},
            TriggerRequest("Orders", additional_metadata=b'{"a":"b"}', priority=3),
        ),
        ({"additional_metadata": ""}, TriggerRequest("Orders")),
        ({"desired_worker_id": ""}, TriggerRequest("Orders")),
        (
            {"desired_worker_id": str(WORKER)},
            TriggerRequest("Orders", desired_worker_id=WORKER),
        ),
        (
            {"desired_worker_labels": {"gpu": DesiredWorkerLabels(str_value="yes")}},
            TriggerRequest("Orders", desired_labels=(DesiredLabel("gpu", "yes"),)),
        ),
        ({"child_index": 3}, TriggerRequest("Orders")),
        ({"parent_id": "", "parent_task_run_external_id": ""}, TriggerRequest("Orders")),
        (
            CHILD,
            TriggerRequest(
                "Orders", parent_run_id=PARENT_RUN, parent_task_id=PARENT_TASK, child_index=0
            ),
        ),
        (
            CHILD | {"child_key": "key"},
            TriggerRequest(
                "Orders",
                parent_run_id=PARENT_RUN,
                parent_task_id=PARENT_TASK,
                child_index=0,
                child_key="key",
            ),
        ),
        (
            {"parent_task_run_external_id": str(PARENT_TASK), "child_key": "no index"},
            TriggerRequest("Orders", parent_task_id=PARENT_TASK),
        ),
    ],
)
async def test_a_trigger_reaches_the_engine(
    options: dict[str, Any], asked: TriggerRequest, client: Client, engine: RecordingEngine
) -> None:
    request = TriggerWorkflowRequest(name="Orders", **options)
    answer = await client.call("WorkflowService/TriggerWorkflow", request)
    assert engine.calls["trigger_runs"] == [(TENANT_ID, [asked])]
    assert answer.workflow_run_id


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "two words"}, "name"),
        ({"input": "[]"}, "input must be a JSON object"),
        ({"input": '"text"'}, "input must be a JSON object"),
        ({"input": "{'a': 1}"}, "input is not valid JSON"),
        ({"input": '{"a": NaN}'}, "input is not valid JSON"),
        ({"input": "[" * 2_000}, "input is not valid JSON"),
        ({"input": r'{"a": "\u0000"}'}, "input contains a null character"),
        ({"additional_metadata": "1"}, "additional_metadata must be a JSON object"),
        ({"additional_metadata": r'{"\u0000": 1}'}, "additional_metadata contains"),
        ({"priority": 0}, "priority"),
        ({"priority": 4}, "priority"),
        ({"priority": -1}, "priority"),
        ({"parent_id": "x"}, "parent_id"),
        ({"parent_task_run_external_id": "x"}, "parent_task_run_external_id"),
        (CHILD | {"child_key": "\0"}, "child_key"),
        (CHILD | {"child_key": "k" * 1_001}, "child_key"),
        ({"desired_worker_id": "w-1"}, "desired_worker_id"),
        (
            {"desired_worker_labels": {"gpu": DesiredWorkerLabels(required=True)}},
            'desired_worker_labels "gpu" needs either',
        ),
    ],
)
async def test_a_trigger_is_refused_by_field(
    options: dict[str, Any], named: str, client: Client, engine: RecordingEngine
) -> None:
    request = TriggerWorkflowRequest(**({"name": "Orders"} | options))
    code, message = await refusal(client.call("WorkflowService/TriggerWorkflow", request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith(named)
    bulk = pb.BulkTriggerWorkflowRequest(workflows=[TriggerWorkflowRequest(name="good"), request])
    code, message = await refusal(client.call("WorkflowService/BulkTriggerWorkflow", bulk))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith(f"workflows[1].{named}")
    assert not engine.calls


async def test_bulk_ids_come_in_request_order_from_one_call(
    client: Client, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {f"w{n}": new_id() for n in range(1_500)}

    async def trigger(_tenant_id: Any, requests: list[TriggerRequest]) -> list[Any]:
        engine.calls["trigger_runs"].append(len(requests))
        return [ids[request.workflow_name] for request in requests]

    monkeypatch.setattr(engine, "trigger_runs", trigger)
    request = pb.BulkTriggerWorkflowRequest(
        workflows=[TriggerWorkflowRequest(name=name) for name in ids]
    )
    answer = await client.call("WorkflowService/BulkTriggerWorkflow", request)
    assert list(answer.workflow_run_ids) == [str(run_id) for run_id in ids.values()]
    assert engine.calls["trigger_runs"] == [1_500]


async def test_an_empty_bulk_starts_nothing(client: Client, engine: RecordingEngine) -> None:
    answer = await client.call(
        "WorkflowService/BulkTriggerWorkflow", pb.BulkTriggerWorkflowRequest()
    )
    assert list(answer.workflow_run_ids) == []
    assert not engine.calls


async def test_the_v1_trigger_asks_the_same(client: Client, engine: RecordingEngine) -> None:
    answer = await client.call(
        "v1.AdminService/TriggerWorkflowRun",
        v1.TriggerWorkflowRunRequest(
            workflow_name="Orders",
            input=b'{"a":1}',
            additional_metadata=b'{"b":2}',
            priority=2,
            desired_worker_labels={"gpu": DesiredWorkerLabels(int_value=2, required=True)},
        ),
    )
    asked = TriggerRequest(
        "Orders",
        b'{"a":1}',
        additional_metadata=b'{"b":2}',
        priority=2,
        desired_labels=(DesiredLabel("gpu", 2, is_required=True),),
    )
    assert engine.calls["trigger_runs"] == [(TENANT_ID, [asked])]
    assert answer.external_id


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"workflow_name": ""}, "workflow_name"),
        ({"input": b"\xff"}, "input is not valid JSON"),
        ({"input": b"[]"}, "input must be a JSON object"),
        ({"additional_metadata": b"x"}, "additional_metadata"),
        ({"priority": 9}, "priority"),
        ({"desired_worker_labels": {"a": DesiredWorkerLabels()}}, "desired_worker_labels"),
    ],
)
async def test_the_v1_trigger_refuses_the_same(
    options: dict[str, Any], named: str, client: Client, engine: RecordingEngine
) -> None:
    request = v1.TriggerWorkflowRunRequest(**({"workflow_name": "Orders"} | options))
    code, message = await refusal(client.call("v1.AdminService/TriggerWorkflowRun", request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith(named)
    assert not engine.calls


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (InvalidArgument("workflow names not found: a, b"), grpc.StatusCode.INVALID_ARGUMENT),
        (NotFound("parent task not found"), grpc.StatusCode.NOT_FOUND),
        (ResourceExhausted("too many waiting"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (Unavailable("stopping"), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_the_engines_refusals_are_told(
    failure: Exception, code: grpc.StatusCode, client: Client, engine: RecordingEngine
) -> None:
    engine.failure = failure
    call = client.call("WorkflowService/TriggerWorkflow", TriggerWorkflowRequest(name="a"))
    assert await refusal(call) == (code, str(failure))


HELD, OURS, STARTED = new_id(), new_id(), new_id()


async def details_of(call: Any) -> tuple[grpc.StatusCode, str, status_pb2.Status]:
    """Return how a call failed, with the richer status its clients look for."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        trailing = dict(error.trailing_metadata() or ())
        rich = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
        return error.code(), error.details() or "", rich
    raise AssertionError("the call was answered")


@pytest.mark.parametrize(
    ("method", "request_message"),
    [
        ("WorkflowService/TriggerWorkflow", TriggerWorkflowRequest(name="a")),
        ("v1.AdminService/TriggerWorkflowRun", v1.TriggerWorkflowRunRequest(workflow_name="a")),
    ],
)
async def test_a_collision_names_both_runs(
    method: str, request_message: Any, client: Client, engine: RecordingEngine
) -> None:
    engine.failure = IdempotencyCollision([Collision(HELD, OURS)])
    code, message, rich = await details_of(client.call(method, request_message))
    assert (code, message) == (grpc.StatusCode.ALREADY_EXISTS, "idempotency key collision")
    assert (rich.code, rich.message) == (code_pb2.ALREADY_EXISTS, message)
    (detail,) = rich.details
    assert detail.type_url == "type.googleapis.com/v1.IdempotencyCollisionError"
    told = v1.IdempotencyCollisionError.FromString(detail.value)
    assert told.existing_run_external_id == str(HELD)
    assert told.colliding_run_external_id == str(OURS)


async def test_collisions_of_a_bulk_come_with_the_runs_that_were_started(
    client: Client, engine: RecordingEngine
) -> None:
    engine.failure = IdempotencyCollision([Collision(HELD, OURS)], [STARTED])
    bulk = pb.BulkTriggerWorkflowRequest(workflows=[TriggerWorkflowRequest(name="a")] * 2)
    call = client.call("WorkflowService/BulkTriggerWorkflow", bulk)
    code, message, rich = await details_of(call)
    assert (code, message) == (grpc.StatusCode.ALREADY_EXISTS, "idempotency key collision")
    (detail,) = rich.details
    assert detail.type_url == "type.googleapis.com/v1.BulkTriggerIdempotencyCollisionError"
    told = v1.BulkTriggerIdempotencyCollisionError.FromString(detail.value)
    assert list(told.successful_workflow_run_external_ids) == [str(STARTED)]
    assert [one.existing_run_external_id for one in told.collisions] == [str(HELD)]
