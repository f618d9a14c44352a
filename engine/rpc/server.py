"""The gRPC server: transport settings, services, and an orderly end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from engine.config import MAX_MESSAGE_BYTES, GrpcFront, TlsConfig
from engine.otlp.intake import Intake
from engine.pb import dispatcher_pb2, events_pb2, workflows_pb2
from engine.pb.v1 import dispatcher_pb2 as v1_dispatcher_pb2
from engine.pb.v1 import workflows_pb2 as v1_workflows_pb2
from engine.rpc.admin import AdminServicer
from engine.rpc.auth import Authenticator, TokenVerifier
from engine.rpc.dispatcher import DispatcherServicer
from engine.rpc.durable import DurableServicer
from engine.rpc.events import EventsServicer
from engine.rpc.fronts import Options, new_server
from engine.rpc.public import PublicServices
from engine.rpc.routes import Routes
from engine.rpc.streams import OpenStreams, TokenWatch
from engine.rpc.traces import TraceServicer
from engine.rpc.workflows import WorkflowServicer
from engine.runtime.service import Engine
from engine.tracing_config import TracingConfig

SERVICES = [
    service
    for module in (
        dispatcher_pb2,
        events_pb2,
        workflows_pb2,
        v1_workflows_pb2,
        v1_dispatcher_pb2,
        trace_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
]


_TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"
_PING_AFTER_MS = 30_000
_PING_ANSWERED_MS = 20_000


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how to listen. Port 0 takes a free one; `reuse_port` lets several engines share it."""

    host: str = "0.0.0.0"  # noqa: S104  workers come from other machines
    port: int = 7070
    tls: TlsConfig | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES
    reuse_port: bool = True
    front: GrpcFront = "grpcio"
    tracing: TracingConfig | None = None
    """None: the collector of spans is not offered, and workers are told of no traces."""


class RpcServer:
    """Start it on the engine's event loop; `stop` before the engine itself stops."""

    def __init__(
        self, engine: Engine, verifier: TokenVerifier, settings: ServerSettings | None = None
    ) -> None:
        self._settings = settings or ServerSettings()
        limit = self._settings.max_message_bytes
        self._authenticator = Authenticator(verifier)
        self._streams = OpenStreams()
        self._token_watch: asyncio.Task[None] | None = None
        self._routes = Routes(
            self._authenticator,
            self._streams,
            _servicers(engine, limit, self._settings.tracing),
            limit,
        )
        self._public = PublicServices([service.full_name for service in SERVICES])
        self._server: grpc.aio.Server | None = None
        self.port = self._settings.port

    async def start(self) -> None:
        """Listen; `port` is the real one from then on."""
        for service in SERVICES:
            self._routes.add_service(service)
        options = _options(self._settings)
        server = new_server(self._settings.front, self._routes, self._public, options)
        self.port = self._add_port(server)
        await server.start()
        for name in ["", *(service.full_name for service in SERVICES)]:
            await self._public.health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._server = server
        watch = TokenWatch(self._authenticator, self._streams)
        self._token_watch = asyncio.create_task(watch.run(), name=watch.name)

    async def stop(self, grace_seconds: float = 5.0) -> None:
        """Refuse new calls, end the streams, let unary calls finish within the grace."""
        if self._server is None or self._token_watch is None:
            return
        self._token_watch.cancel()
        await self._public.health.enter_graceful_shutdown()
        self._streams.close()
        await self._server.stop(grace_seconds)
        self._authenticator.close()

    def _add_port(self, server: grpc.aio.Server) -> int:
        address = f"{self._settings.host}:{self._settings.port}"
        if self._settings.tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, _credentials(self._settings.tls))


def _servicers(engine: Engine, limit: int, tracing: TracingConfig | None) -> dict[str, object]:
    """By the full names of their services."""
    servicers: dict[str, object] = {
        "Dispatcher": DispatcherServicer(engine, limit, is_tracing=tracing is not None),
        "EventsService": EventsServicer(engine, limit),
        "WorkflowService": WorkflowServicer(engine, limit),
        "v1.AdminService": AdminServicer(engine, limit),
        "v1.V1Dispatcher": DurableServicer(engine, limit),
    }
    if tracing is not None:
        servicers[_TRACES] = TraceServicer(engine, Intake(tracing))
    return servicers


def _options(settings: ServerSettings) -> Options:
    return [
        ("grpc.so_reuseport", int(settings.reuse_port)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # It inflates a message to whatever it comes to before anybody looks at it: the routes do it.
        ("grpc.per_message_decompression", 0),
        # It takes in megabytes of each call on a fast line although nobody has asked to read them.
        ("grpc.http2.bdp_probe", 0),
        # Clients ping every 10 s, with and without calls; a server that minds drops their streams.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
        ("grpc.http2.max_ping_strikes", 0),
        # Our own pings find out that the other side of a silent stream is gone.
        ("grpc.keepalive_time_ms", _PING_AFTER_MS),
        ("grpc.keepalive_timeout_ms", _PING_ANSWERED_MS),
        # grpcio waits for this one.
        ("grpc.http2.ping_timeout_ms", _PING_ANSWERED_MS),
    ]


def _credentials(tls: TlsConfig) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.private_key.encode(), tls.certificate.encode())],
        root_certificates=tls.client_ca.encode() if tls.client_ca else None,
        require_client_auth=tls.client_ca is not None,
    )
