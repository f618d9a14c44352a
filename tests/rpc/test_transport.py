"""What the SDKs' channels need: patience with pings, gzip, 4 MiB messages, TLS, a shared port."""

from __future__ import annotations

import asyncio
from uuid import UUID

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from engine.config import GrpcFront, TlsConfig
from engine.pb import dispatcher_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.rpc import server as server_module
from engine.rpc.server import RpcServer, ServerSettings
from tests.rpc.certificates import Authority
from tests.rpc.client import PATIENCE_SECONDS, TOKEN, Client, KnownToken, refusal
from tests.rpc.raw_call import ACK, GOAWAY, PING, Frame, raw_connection
from tests.rpc.recording_engine import RecordingEngine


async def test_a_flood_of_pings_without_any_call_is_answered(server: RpcServer) -> None:
    async with raw_connection(server.port) as connection:
        for number in range(50):
            connection.write(Frame(PING, 0, 0, number.to_bytes(8)))
            while (frame := await connection.next_frame()).kind != PING or not frame.flags & ACK:
                assert frame.kind != GOAWAY, frame
            assert int.from_bytes(frame.payload) == number


async def test_a_client_that_answers_no_ping_is_given_up(
    engine: RecordingEngine, front: GrpcFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_PING_AFTER_MS", 100)
    monkeypatch.setattr(server_module, "_PING_ANSWERED_MS", 100)
    verifier = KnownToken()
    settings = ServerSettings(host="127.0.0.1", port=0, front=front)
    server = RpcServer(engine, verifier, settings)
    await server.start()
    request = dispatcher_pb2.WorkerListenRequest(worker_id=str(UUID(int=1)))
    async with raw_connection(server.port) as connection, asyncio.timeout(PATIENCE_SECONDS):
        connection.start_call("/Dispatcher/ListenV2", TOKEN)
        connection.end_call(request.SerializeToString())
        await connection.closed()
        await engine.session.closed.wait()
    await server.stop(0)


async def test_gzipped_requests_are_read(server: RpcServer, engine: RecordingEngine) -> None:
    async with grpc.aio.insecure_channel(
        f"127.0.0.1:{server.port}", compression=grpc.Compression.Gzip
    ) as channel:
        text = '{"a":"' + "x" * 100_000 + '"}'
        await Client(channel).call(
            "WorkflowService/TriggerWorkflow",
            trigger_pb2.TriggerWorkflowRequest(name="a", input=text),
        )
    ((_, (request,)),) = engine.calls["trigger_runs"]
    assert request.input == text.encode()


@pytest.mark.parametrize(
    ("size", "code"),
    [(4 * 1024 * 1024 - 100, None), (5_000_000, grpc.StatusCode.RESOURCE_EXHAUSTED)],
)
async def test_messages_up_to_four_mebibytes_are_accepted(
    size: int, code: grpc.StatusCode | None, client: Client, engine: RecordingEngine
) -> None:
    text = '{"a":"' + "x" * (size - 8) + '"}'
    call = client.call(
        "WorkflowService/TriggerWorkflow", trigger_pb2.TriggerWorkflowRequest(name="a", input=text)
    )
    if code is None:
        assert (await call).workflow_run_id
    else:
        assert (await refusal(call))[0] is code
        assert not engine.calls


async def test_two_servers_share_a_port(
    server: RpcServer, engine: RecordingEngine, verifier: KnownToken, front: GrpcFront
) -> None:
    shared = ServerSettings(host="127.0.0.1", port=server.port, front=front)
    twin = RpcServer(engine, verifier, shared)
    await twin.start()
    assert twin.port == server.port
    await twin.stop(0)


async def test_a_port_can_be_kept_for_one_server(
    server: RpcServer, engine: RecordingEngine, verifier: KnownToken, front: GrpcFront
) -> None:
    alone = ServerSettings(host="127.0.0.1", port=server.port, reuse_port=False, front=front)
    with pytest.raises(RuntimeError, match="bind"):
        await RpcServer(engine, verifier, alone).start()


@pytest.mark.parametrize(
    ("wants_certificate", "client_name", "is_served"),
    [(False, None, True), (True, "worker", True), (True, None, False)],
)
async def test_tls_and_mutual_tls(
    wants_certificate: bool, client_name: str | None, is_served: bool
) -> None:
    authority = Authority()
    certificate, private_key = authority.issue("server")
    client_ca = authority.certificate if wants_certificate else None
    tls = TlsConfig(certificate=certificate, private_key=private_key, client_ca=client_ca)
    settings = ServerSettings(host="127.0.0.1", port=0, tls=tls)
    server = RpcServer(RecordingEngine(), KnownToken(), settings)
    await server.start()
    own, key = authority.issue(client_name) if client_name else ("", "")
    credentials = grpc.ssl_channel_credentials(
        authority.certificate.encode(), key.encode() or None, own.encode() or None
    )
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        call = Client(channel).call("Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest())
        if is_served:
            assert (await call).version
        else:
            assert (await refusal(call))[0] is grpc.StatusCode.UNAVAILABLE
    await server.stop(0)


async def test_the_message_size_can_be_set(front: GrpcFront) -> None:
    settings = ServerSettings(host="127.0.0.1", port=0, max_message_bytes=6_000_000, front=front)
    server = RpcServer(RecordingEngine(), KnownToken(), settings)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for size, is_refused in ((5_000_000, False), (6_000_000, True)):
            call = Client(channel).call(
                "Dispatcher/PutOverridesData", dispatcher_pb2.OverridesData(value="x" * size)
            )
            if is_refused:
                assert (await refusal(call))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
            else:
                await call
    await server.stop(0)


@pytest.mark.parametrize("how", ["deadline", "cancel"])
async def test_a_call_given_up_by_its_client_is_given_up_here(
    how: str, client: Client, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, given_up = asyncio.Event(), asyncio.Event()

    async def endless(_tenant_id: UUID, _worker_id: UUID) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.set()
            raise

    monkeypatch.setattr(engine, "record_heartbeat", endless)
    request = dispatcher_pb2.HeartbeatRequest(worker_id=str(UUID(int=1)))
    # The first call makes the token known: after that calls are unary on both sides.
    await client.call("Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest())
    timeout = 0.2 if how == "deadline" else None
    call = client.call("Dispatcher/Heartbeat", request, timeout=timeout)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await begun.wait()
        if how == "cancel":
            call.cancel()
        await given_up.wait()


async def test_health_needs_no_token(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", "Dispatcher", "v1.AdminService"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_lists_all_services(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
    listed = {
        service.name
        async for answer in stub.ServerReflectionInfo(iter(requests))
        for service in answer.list_services_response.service
    }
    assert listed == {
        "Dispatcher",
        "EventsService",
        "WorkflowService",
        "v1.AdminService",
        "v1.V1Dispatcher",
        "opentelemetry.proto.collector.trace.v1.TraceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
