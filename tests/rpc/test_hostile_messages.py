"""Messages that are more than they seem cost the engine nothing, whoever sends them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.errors import InvalidArgument, ResourceExhausted
from engine.inflate import inflate
from engine.pb import dispatcher_pb2 as pb
from engine.pb.v1.shared import trigger_pb2
from engine.rpc import public
from engine.rpc.server import SERVICES, RpcServer
from tests.rpc.client import AUTH, PATIENCE_SECONDS, TOKEN, Client, KnownToken, refusal
from tests.rpc.raw_call import MOST_DATA_BYTES, answer_to, zeros
from tests.rpc.recording_engine import RecordingEngine

MEBIBYTE = 1024 * 1024
BOMB = zeros(60)
CALLS = [
    "/WorkflowService/TriggerWorkflow",
    "/Dispatcher/ListenV2",
    "/v1.V1Dispatcher/DurableTask",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]
# The native front reads these itself: tests/rpc/test_native_front.py tells how.
READ_BY_NATIVE = ("/WorkflowService/TriggerWorkflow", "/Dispatcher/ListenV2")
GUARDED = [("grpcio", path) for path in CALLS] + [
    ("native", path) for path in CALLS if path not in READ_BY_NATIVE
]


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(("front", "path"), GUARDED)
@pytest.mark.parametrize("token", ["", "eyBad.token.text", TOKEN])
async def test_a_message_that_inflates_to_sixty_mebibytes_is_refused_without_inflating_it(
    path: str, token: str, server: RpcServer, verifier: KnownToken, engine: RecordingEngine
) -> None:
    assert len(BOMB) < MOST_DATA_BYTES
    verifier.verify(TOKEN)
    forget_peak()
    before = peak_bytes()
    async with asyncio.timeout(PATIENCE_SECONDS):
        told = (await answer_to(server.port, path, BOMB, token)).headers
    assert peak_bytes() - before < 30 * MEBIBYTE
    is_public = path.startswith("/grpc.")
    wanted = b"message is larger than" if is_public or token == TOKEN else b"invalid auth token"
    assert wanted in told, told
    assert not engine.calls["trigger_runs"]


@pytest.mark.parametrize(
    ("front", "path"), [guarded for guarded in GUARDED if not guarded[1].startswith("/grpc.")]
)
async def test_nobody_waits_for_the_message_of_a_caller_without_a_token(
    path: str, server: RpcServer
) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await answer_to(server.port, path, b"only this", "", claimed_bytes=4 * MEBIBYTE)
    assert b"invalid auth token" in answer.headers


@pytest.mark.parametrize("front", ["grpcio"])
async def test_a_message_of_a_caller_without_a_token_is_not_taken_in(server: RpcServer) -> None:
    message = bytes(8 * MEBIBYTE)
    async with asyncio.timeout(PATIENCE_SECONDS):
        answer = await answer_to(server.port, READ_BY_NATIVE[0], message, "", is_gzip=False)
    assert b"invalid auth token" in answer.headers
    assert answer.taken_bytes <= MOST_DATA_BYTES


async def test_large_messages_that_drag_on_do_not_keep_others_from_a_public_service(
    server: RpcServer, channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public, "_LONGEST_READ_SECONDS", 0.05)
    path = "/grpc.health.v1.Health/Check"
    slow = [
        answer_to(server.port, path, b"only this", "", claimed_bytes=4 * MEBIBYTE)
        for _ in range(20)
    ]
    check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    async with asyncio.timeout(PATIENCE_SECONDS):
        told = await asyncio.gather(*slow)
        assert (await check).status == health_pb2.HealthCheckResponse.SERVING
    assert all(b"did not come in time" in answer.headers for answer in told)


async def test_a_call_whose_token_is_not_known_yet_is_read_once_it_is(
    client: Client, verifier: KnownToken, engine: RecordingEngine
) -> None:
    beat = pb.HeartbeatRequest(worker_id="018f0000-0000-7000-8000-00000000cafe")
    for _ in range(2):
        verifier.forget()
        assert await client.call("Dispatcher/Heartbeat", beat) == pb.HeartbeatResponse()
        assert await client.call("Dispatcher/Heartbeat", beat) == pb.HeartbeatResponse()
    assert len(engine.calls["record_heartbeat"]) == 4


@pytest.mark.parametrize(
    ("front", "compression"),
    [
        ("grpcio", grpc.Compression.Gzip),
        ("grpcio", grpc.Compression.Deflate),
        ("native", grpc.Compression.Gzip),
    ],
)
async def test_compressed_messages_are_read_on_every_kind_of_call(
    compression: grpc.Compression, server: RpcServer, engine: RecordingEngine
) -> None:
    address = f"127.0.0.1:{server.port}"
    async with grpc.aio.insecure_channel(address, compression=compression) as channel:
        client = Client(channel)
        text = '{"a":"' + "x" * 100_000 + '"}'
        request = trigger_pb2.TriggerWorkflowRequest(name="a", input=text)
        for _ in range(2):  # the token is not known at first
            await client.call("WorkflowService/TriggerWorkflow", request)
        assert [r[0].input for _, r in engine.calls["trigger_runs"]] == [text.encode()] * 2
        events = pb.SubscribeToWorkflowEventsRequest(
            additional_meta_key="k" * 900, additional_meta_value="v" * 900
        )
        engine.stream_events.put_nowait(None)
        stream = client.call("Dispatcher/SubscribeToWorkflowEvents", events)
        assert [event async for event in stream] == []
        assert engine.calls["stream_metadata_events"]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
        (gzip.compress(b"x" * 3_000, mtime=0)[:-9], grpc.StatusCode.INVALID_ARGUMENT),
        (b"\x1f\x8bnonsense", grpc.StatusCode.INVALID_ARGUMENT),
        (gzip.compress(b"x" * 5 * MEBIBYTE, mtime=0), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/WorkflowService/TriggerWorkflow", "unary_unary"),
        ("/Dispatcher/ListenV2", "unary_stream"),
        ("/Dispatcher/SubscribeToWorkflowRuns", "stream_stream"),
        ("/v1.V1Dispatcher/DurableTask", "stream_stream"),
        ("/grpc.health.v1.Health/Check", "unary_unary"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_status_that_says_so(
    path: str,
    kind: str,
    message: bytes,
    code: grpc.StatusCode,
    channel: grpc.aio.Channel,
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = getattr(channel, kind)(path)
    if kind == "stream_stream":
        call = call(metadata=AUTH)
        await call.write(message)
    else:
        call = call(message, metadata=AUTH)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await refusal(call))[0] is code
    assert not caplog.records


def test_inflating_stops_at_the_limit() -> None:
    for compressed in (gzip.compress(b"a" * 1000), zlib.compress(b"a" * 1000)):
        assert inflate(compressed, 1000) == b"a" * 1000
        with pytest.raises(ResourceExhausted):
            inflate(compressed, 999)
    assert inflate(b"", 10) == b""
    with pytest.raises(InvalidArgument):
        inflate(gzip.compress(b"a" * 1000)[:-1], 1000)


def test_no_request_begins_as_compressed_data_does() -> None:
    """Gzip begins like a field of wire type 7, which there is not; deflate like a number, field 15."""
    inputs = [method.input_type for service in SERVICES for method in service.methods]
    fields = [field for each in inputs for field in each.fields if field.number == 15]
    lengthy = (
        FieldDescriptor.TYPE_STRING,
        FieldDescriptor.TYPE_BYTES,
        FieldDescriptor.TYPE_MESSAGE,
    )
    assert all(field.type in lengthy for field in fields)
