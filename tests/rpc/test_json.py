"""The rule for JSON at every entrance of the engine: `null` is nothing, and what breaks it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from engine.ids import new_id
from engine.pb import events_pb2, workflows_pb2
from engine.pb.v1 import workflows_pb2 as v1
from engine.pb.v1.shared.trigger_pb2 import TriggerWorkflowRequest
from engine.types import EventInput, TriggerRequest
from tests.rpc.client import Client, refusal, stamp
from tests.rpc.recording_engine import NOW, RecordingEngine

TASK = str(new_id())
ONE: dict[str, Any] = {"name": "Orders"}
CHILD = ONE | {"parent_task_run_external_id": TASK, "child_index": 1}


def bulk(**options: Any) -> workflows_pb2.BulkTriggerWorkflowRequest:
    return workflows_pb2.BulkTriggerWorkflowRequest(
        workflows=[TriggerWorkflowRequest(**ONE), TriggerWorkflowRequest(**ONE, **options)]
    )


def v1_trigger(**options: Any) -> v1.TriggerWorkflowRunRequest:
    as_bytes: dict[str, Any] = {name: text.encode() for name, text in options.items()}
    return v1.TriggerWorkflowRunRequest(workflow_name="Orders", **as_bytes)


def event(**options: Any) -> events_pb2.PushEventRequest:
    payload = options.pop("input", "")
    return events_pb2.PushEventRequest(key="k", payload=payload, **options)


ENTRANCES: dict[str, tuple[str, Callable[..., Any]]] = {
    "run": (
        "WorkflowService/TriggerWorkflow",
        lambda **options: TriggerWorkflowRequest(**ONE, **options),
    ),
    "child": (
        "WorkflowService/TriggerWorkflow",
        lambda **options: TriggerWorkflowRequest(**CHILD, **options),
    ),
    "bulk": ("WorkflowService/BulkTriggerWorkflow", bulk),
    "v1 run": ("v1.AdminService/TriggerWorkflowRun", v1_trigger),
    "schedule": (
        "WorkflowService/ScheduleWorkflow",
        lambda **options: workflows_pb2.ScheduleWorkflowRequest(
            name="Orders", schedules=[stamp(NOW)], **options
        ),
    ),
    "event": ("EventsService/Push", event),
    "bulk event": (
        "EventsService/BulkPush",
        lambda **options: events_pb2.BulkPushEventRequest(events=[event(**options)]),
    ),
}


def given(call: Any) -> tuple[bytes, bytes | None]:
    """Return the document and the metadata of the last request in what the engine was asked."""
    request = call[1][-1] if isinstance(call[1], list) else call[1]
    assert isinstance(request, TriggerRequest | EventInput)
    document = request.payload if isinstance(request, EventInput) else request.input
    return document, request.additional_metadata


@pytest.mark.parametrize("text", ["null", " null\n", "", "{}"])
@pytest.mark.parametrize("name", ENTRANCES)
async def test_null_is_no_input_and_no_metadata(
    name: str, text: str, client: Client, engine: RecordingEngine
) -> None:
    method, request = ENTRANCES[name]
    await client.call(method, request(input=text, additional_metadata=text))
    ((call,),) = engine.calls.values()
    document, metadata = given(call)
    assert (document, metadata or b"{}") == (b"{}", b"{}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "must be a JSON object"),
        ("0", "must be a JSON object"),
        ('"null"', "must be a JSON object"),
        ('{"a":' * 251 + "1" + "}" * 251, "is nested more than 250 levels deep"),
        ('{"a": 1e999}', "is not valid JSON"),
        (r'{"a": "\udc00"}', "half of a surrogate pair"),
        (r'{"a": "\u0000"}', "contains a null character"),
    ],
)
@pytest.mark.parametrize("name", ENTRANCES)
async def test_what_breaks_the_rule_is_refused_everywhere(
    name: str, text: str, told: str, client: Client, engine: RecordingEngine
) -> None:
    method, request = ENTRANCES[name]
    for field in ("input", "additional_metadata"):
        code, message = await refusal(client.call(method, request(**{field: text})))
        assert (code, told in message) == (grpc.StatusCode.INVALID_ARGUMENT, True), message
    assert not engine.calls


@pytest.mark.parametrize("name", ENTRANCES)
async def test_big_numbers_pass_and_those_no_column_keeps_are_refused_in_metadata(
    name: str, client: Client, engine: RecordingEngine
) -> None:
    method, request = ENTRANCES[name]
    tiny = '{"n": 1e-200000}'
    code, message = await refusal(client.call(method, request(additional_metadata=tiny)))
    assert (code, "exponent" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert not engine.calls
    big = '{"n": 18446744073709551617, "d": 0.10000000000000000001}'
    await client.call(method, request(input=tiny, additional_metadata=big))
    ((call,),) = engine.calls.values()
    assert given(call) == (tiny.encode(), big.encode())


async def test_log_metadata_keeps_the_rule(client: Client, engine: RecordingEngine) -> None:
    def line(metadata: str) -> Any:
        request = events_pb2.PutLogRequest(
            task_run_external_id=TASK, message="m", metadata=metadata
        )
        return client.call("EventsService/PutLog", request)

    for text in ('{"n": 1e-999}', "[1]"):
        code, _ = await refusal(line(text))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
    await line("null")
    await line('{"n": 18446744073709551617}')
    first, second = engine.calls["append_log"]
    assert (first.metadata, second.metadata) == (None, b'{"n": 18446744073709551617}')


async def test_definitions_keep_the_rule(client: Client, engine: RecordingEngine) -> None:
    def put(**options: Any) -> Any:
        task = v1.CreateTaskOpts(readable_id="a", action="orders:a", timeout="1m")
        request = v1.CreateWorkflowVersionRequest(name="Orders", tasks=[task], **options)
        return client.call("v1.AdminService/PutWorkflow", request)

    def filtered(payload: bytes) -> dict[str, Any]:
        return {
            "default_filters": [v1.DefaultFilter(expression="true", scope="s", payload=payload)]
        }

    deep = '{"a":' * 251 + "1" + "}" * 251
    for options in (
        {"cron_input": deep},
        {"input_json_schema": deep.encode()},
        filtered(deep.encode()),
    ):
        code, message = await refusal(put(**options))
        assert (code, "nested" in message) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    await put(cron_input="null", input_json_schema=b"null", **filtered(b"null"))
    (_, definition), *_ = engine.calls["put_workflow"]
    assert (definition.cron_input, definition.input_json_schema) == (None, None)
    assert definition.default_filters[0].payload == "{}"
