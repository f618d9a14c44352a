"""A client that takes more than its share, or less than it asked for, does not keep others from being served."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, suppress
from uuid import UUID

import grpc
import pytest

from engine.ids import new_id
from engine.pb import dispatcher_pb2 as pb
from engine.rpc.server import RpcServer
from engine.types import StreamEvent, StreamEventKind
from tests.rpc.client import PATIENCE_SECONDS, TOKEN, Client
from tests.rpc.raw_call import RST_STREAM, Frame, raw_connection
from tests.rpc.recording_engine import NOW, RecordingEngine

WATCH = "/grpc.health.v1.Health/Watch"
LISTEN = "/Dispatcher/ListenV2"
CANCEL = (8).to_bytes(4)


async def assert_serves(client: Client) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await client.call("Dispatcher/GetVersion", pb.GetVersionRequest())).version


@pytest.mark.parametrize("path", [WATCH, LISTEN])
async def test_thousands_of_calls_that_never_say_anything(
    path: str, server: RpcServer, client: Client
) -> None:
    async with raw_connection(server.port) as connection:
        for number in range(3_000):
            connection.start_call(path, TOKEN, stream=2 * number + 1)
        await assert_serves(client)


@pytest.mark.parametrize("path", [WATCH, LISTEN])
async def test_thousands_of_calls_that_are_given_up_at_once(
    path: str, server: RpcServer, client: Client
) -> None:
    async with raw_connection(server.port) as connection:
        for number in range(3_000):
            connection.start_call(path, TOKEN, stream=2 * number + 1)
            connection.write(Frame(RST_STREAM, 0, 2 * number + 1, CANCEL))
        await assert_serves(client)


async def test_metadata_of_megabytes_is_not_taken(
    server: RpcServer, client: Client, engine: RecordingEngine
) -> None:
    async with raw_connection(server.port) as connection:
        connection.start_call(LISTEN, TOKEN, further=[("x-long", "x" * 4_000_000)])
        with suppress(ConnectionError):
            await connection.flush()
        await assert_serves(client)
    assert not engine.calls["open_session"]


ODD_METADATA = [
    ("x-odd", "\xff\xfe\x80"),
    ("x-odd", "a\0b"),
    ("x-odd-bin", "!!! no base64"),
    ("X-Odd", "upper case"),
    ("", "no name"),
    ("authorization", "bearer \xe9"),
    ("grpc-timeout", "soon"),
    ("grpc-timeout", "99999999999999999999H"),
    ("grpc-encoding", "snappy"),
    ("content-length", "1"),
]


@pytest.mark.parametrize("path", [LISTEN, "/Dispatcher/SubscribeToWorkflowRuns"])
@pytest.mark.parametrize(("name", "value"), ODD_METADATA)
async def test_metadata_that_cannot_be_read_concern_nobody_else(
    path: str, name: str, value: str, server: RpcServer, client: Client
) -> None:
    call = client.converse("Dispatcher/SubscribeToWorkflowRuns")
    request = pb.SubscribeToWorkflowRunsRequest(workflow_run_id="none")
    await call.write(request)
    async with raw_connection(server.port) as connection:
        connection.start_call(path, TOKEN, further=[(name, value)])
        connection.end_call(request.SerializeToString())
        await connection.flush()
        await assert_serves(client)
    await call.write(request)
    assert not call.done()
    call.cancel()


async def test_hundreds_of_connections_that_stay_silent(server: RpcServer, client: Client) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        await assert_serves(client)


async def test_clients_that_do_not_read_keep_no_message_of_others(
    server: RpcServer, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, wanted = new_id(), new_id()
    written = 0

    async def megabytes(run_id: UUID) -> AsyncGenerator[StreamEvent]:
        nonlocal written
        for _ in range(20):
            written += run_id == stalled
            yield StreamEvent(
                run_id, run_id, False, StreamEventKind.STREAM, NOW, payload="x" * 1_000_000
            )

    async def events_of(_tenant_id: UUID, run_id: UUID) -> AsyncIterator[StreamEvent]:
        return megabytes(run_id)

    monkeypatch.setattr(engine, "stream_run_events", events_of)
    # Else a client takes in more and more of what nobody there reads.
    options = [("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        client = Client(channel)

        def follow(run_id: UUID) -> AsyncIterator[pb.WorkflowEvent]:
            request = pb.SubscribeToWorkflowEventsRequest(workflow_run_id=str(run_id))
            stream: AsyncIterator[pb.WorkflowEvent] = client.call(
                "Dispatcher/SubscribeToWorkflowEvents", request
            )
            return stream

        unread = [follow(stalled) for _ in range(40)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert len([event async for event in follow(wanted)]) == 20
    assert written < 5 * len(unread)
