"""A real server on loopback in front of a recording engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import cast

import grpc
import pytest

from engine.config import GrpcFront
from engine.rpc.server import RpcServer, ServerSettings
from tests.rpc.client import Client, KnownToken
from tests.rpc.recording_engine import RecordingEngine


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine()


@pytest.fixture
def verifier() -> KnownToken:
    return KnownToken()


@pytest.fixture(params=["grpcio", "native"])
def front(request: pytest.FixtureRequest) -> GrpcFront:
    return cast(GrpcFront, request.param)


@pytest.fixture
async def server(
    engine: RecordingEngine, verifier: KnownToken, front: GrpcFront
) -> AsyncGenerator[RpcServer]:
    server = RpcServer(engine, verifier, ServerSettings(host="127.0.0.1", port=0, front=front))
    await server.start()
    yield server
    await server.stop(0)


@pytest.fixture
async def channel(server: RpcServer) -> AsyncGenerator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def client(channel: grpc.aio.Channel) -> Client:
    return Client(channel)
