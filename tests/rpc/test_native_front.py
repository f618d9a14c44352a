"""What is different behind the native front, and what keeps it from being the default.

Where a test says what it does not guard against, a release of the package that does fails the test: the
choice can be made anew then.
"""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import grpc
import pytest
from pygrpc_native import STREAM_CLOSED

from engine.pb import dispatcher_pb2 as pb
from engine.pb import workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.fronts import native
from engine.rpc.server import RpcServer
from tests.rpc.client import PATIENCE_SECONDS, Client, refusal
from tests.rpc.raw_call import answer_to, zeros
from tests.rpc.recording_engine import RecordingEngine
from tests.rpc.test_hostile_messages import (
    MEBIBYTE,
    READ_BY_NATIVE,
    forget_peak,
    peak_bytes,
)

pytestmark = pytest.mark.parametrize("front", ["native"])


@pytest.mark.parametrize("path", READ_BY_NATIVE)
async def test_it_takes_in_a_message_of_any_size_from_anybody(path: str, server: RpcServer) -> None:
    message = bytes(20 * MEBIBYTE)
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await answer_to(server.port, path, message, "", is_gzip=False)
    assert answer.taken_bytes > len(message)
    assert b"larger%20than%20max" in answer.headers


@pytest.mark.parametrize("path", READ_BY_NATIVE)
async def test_it_inflates_the_message_of_anybody_without_a_bound(
    path: str, server: RpcServer
) -> None:
    forget_peak()
    before = peak_bytes()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await answer_to(server.port, path, zeros(60), "")
    assert peak_bytes() - before > 50 * MEBIBYTE


async def test_it_does_not_know_deflate(server: RpcServer) -> None:
    address, deflate = f"127.0.0.1:{server.port}", grpc.Compression.Deflate
    async with grpc.aio.insecure_channel(address, compression=deflate) as channel:
        request = trigger_pb2.TriggerWorkflowRequest(name="a", input='{"a":"' + "x" * 900 + '"}')
        call = Client(channel).call("WorkflowService/TriggerWorkflow", request)
        assert (await refusal(call))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_what_was_answered_last_leaves_before_the_connections_are_closed(
    client: Client, engine: RecordingEngine, server: RpcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, may_finish, may_close = asyncio.Event(), asyncio.Event(), threading.Event()
    lingered: list[float] = []

    async def slow_trigger(_tenant_id: UUID, requests: list[Any]) -> list[UUID]:
        taken.set()
        await may_finish.wait()
        return [UUID(int=1)] * len(requests)

    def linger(seconds: float) -> None:
        lingered.append(seconds)
        may_close.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(engine, "trigger_runs", slow_trigger)
    monkeypatch.setattr(native, "sleep", linger)
    runs = [trigger_pb2.TriggerWorkflowRequest(name="a")] * 10_000
    request = workflows_pb2.BulkTriggerWorkflowRequest(workflows=runs)
    call = asyncio.ensure_future(client.call("WorkflowService/BulkTriggerWorkflow", request))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await taken.wait()
        stop = asyncio.create_task(server.stop(PATIENCE_SECONDS))
        may_finish.set()
        assert len((await call).workflow_run_ids) == 10_000
        may_close.set()
        await stop
    assert lingered


async def test_a_message_for_a_client_that_is_gone_is_not_taken_for_sent(
    server: RpcServer,
) -> None:
    front = native._Server()
    gone = SimpleNamespace(stream_try_send=lambda _call, _message: STREAM_CLOSED)
    front._front = gone  # type: ignore[assignment]  # as much of one as it takes
    handler = SimpleNamespace(response_serializer=pb.HeartbeatResponse.SerializeToString)
    with pytest.raises(asyncio.CancelledError):
        await front._send(
            SimpleNamespace(call_id=1, handler=handler), SimpleNamespace(), pb.HeartbeatResponse()
        )
