"""Who may call: every method wants a token it knows, and answers the tenant of that token."""

from __future__ import annotations

import grpc
import pytest
from django.db import OperationalError
from google.protobuf.message_factory import GetMessageClass

from engine.pb import dispatcher_pb2, workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from tests.rpc.client import METHODS, TENANT_ID, TOKEN, Client, KnownToken, refusal
from tests.rpc.recording_engine import RecordingEngine

INVALID = (grpc.StatusCode.UNAUTHENTICATED, "invalid auth token")


@pytest.mark.parametrize("name", METHODS)
async def test_no_method_answers_a_stranger(name: str, channel: grpc.aio.Channel) -> None:
    stranger = Client(channel, metadata=())
    method = METHODS[name]
    if method.client_streaming:
        call = stranger.converse(name)
    else:
        call = stranger.call(name, GetMessageClass(method.input_type)())
    assert await refusal(call) == INVALID


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "bearer",
        "bearer ",
        f"basic {TOKEN}",
        TOKEN,
        f"bearer {TOKEN}x",
        f"bearer {TOKEN} {TOKEN}",
        "bearer " + "e" * 9_000,
    ],
)
async def test_malformed_and_unknown_tokens_are_refused(
    authorization: str, channel: grpc.aio.Channel, engine: RecordingEngine
) -> None:
    stranger = Client(channel, metadata=(("authorization", authorization),))
    call = stranger.call(
        "WorkflowService/TriggerWorkflow", trigger_pb2.TriggerWorkflowRequest(name="a")
    )
    assert await refusal(call) == INVALID
    assert not engine.calls


@pytest.mark.parametrize("scheme", ["bearer", "Bearer", "BEARER"])
async def test_the_scheme_is_case_insensitive(scheme: str, channel: grpc.aio.Channel) -> None:
    client = Client(channel, metadata=(("authorization", f"{scheme} {TOKEN}"),))
    await client.call("Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest())


async def test_the_engine_is_told_the_tenant_of_the_token(
    client: Client, engine: RecordingEngine
) -> None:
    request = workflows_pb2.BulkTriggerWorkflowRequest(
        workflows=[trigger_pb2.TriggerWorkflowRequest(name="a")]
    )
    await client.call("WorkflowService/BulkTriggerWorkflow", request)
    assert engine.calls["trigger_runs"][0][0] == TENANT_ID


async def test_an_unreachable_database_is_not_an_invalid_token(
    client: Client, verifier: KnownToken
) -> None:
    verifier.failure = OperationalError("gone")
    code, message = await refusal(
        client.call("Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest())
    )
    assert code is grpc.StatusCode.UNAVAILABLE
    assert message == "tokens cannot be checked now"
