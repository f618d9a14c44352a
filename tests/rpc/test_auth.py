"""Who may call: every method wants a token it knows, and answers the tenant of that token."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from django.db import OperationalError, connection
from google.protobuf.message_factory import GetMessageClass
from pytest_django import Settings

from engine.ids import new_id
from engine.pb import dispatcher_pb2, workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.server import RpcServer, ServerSettings
from tenants.caller import calling
from tenants.models import Tenant
from tenants.token_cache import TokenCache
from tenants.token_claims import InvalidToken, VerifiedToken, read_token
from tenants.tokens import create_token, revoke_token
from tests.installation import make_installation
from tests.rpc.client import (
    METHODS,
    PATIENCE_SECONDS,
    TENANT_ID,
    TOKEN,
    Client,
    KnownToken,
    refusal,
)
from tests.rpc.raw_call import framed, raw_connection
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
        "bearer " + "e" * 5_000,
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


async def test_what_a_call_does_is_done_by_its_token(
    client: Client, engine: RecordingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it had to be looked at first or not."""
    callers: list[UUID | None] = []

    async def put_rate_limit(*_: object) -> None:
        caller = calling.get()
        callers.append(None if caller is None else caller.token_id)

    monkeypatch.setattr(engine, "put_rate_limit", put_rate_limit)
    for _ in range(2):
        request = workflows_pb2.PutRateLimitRequest(key="api", limit=1)
        await client.call("WorkflowService/PutRateLimit", request)
    assert callers == [UUID(int=1)] * 2


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


async def test_calls_that_meet_share_one_check(
    client: Client, verifier: KnownToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[str] = []
    met = threading.Event()
    check = verifier.verify

    def slow_check(token: str) -> VerifiedToken:
        checks.append(token)
        met.wait(5)
        return check(token)

    monkeypatch.setattr(verifier, "verify", slow_check)
    calls = [
        asyncio.ensure_future(
            client.call("Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest())
        )
        for _ in range(20)
    ]
    calls[0].cancel()
    # Unlike ours, a call without a token needs no check: its answer shows that the others wait.
    stranger = Client(client.channel, metadata=())
    await refusal(stranger.call("Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest()))
    met.set()
    answers = await asyncio.gather(*calls[1:])
    assert all(answer.version for answer in answers)
    assert checks == [TOKEN]


@pytest.mark.parametrize("front", ["grpcio"])
async def test_a_token_revoked_while_the_message_comes_in_is_not_accepted(
    server: RpcServer,
    verifier: KnownToken,
    engine: RecordingEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verifier.verify(TOKEN)
    seen, peek = asyncio.Event(), verifier.peek

    def watched(token: str) -> VerifiedToken | None:
        seen.set()
        return peek(token)

    monkeypatch.setattr(verifier, "peek", watched)
    request = trigger_pb2.TriggerWorkflowRequest(name="a").SerializeToString()
    async with raw_connection(server.port) as connection, asyncio.timeout(PATIENCE_SECONDS):
        connection.start_call("/WorkflowService/TriggerWorkflow", TOKEN)
        await seen.wait()
        verifier.forget()
        verifier.failure = InvalidToken("revoked")
        answer = await connection.end_of(framed(request), is_whole=True)
    assert b"invalid auth token" in answer.headers
    assert not engine.calls


async def test_calls_that_share_a_connection_are_told_apart(
    channel: grpc.aio.Channel, verifier: KnownToken
) -> None:
    """Each call is its own caller's, whatever others are under way."""
    verifier.verify(TOKEN)
    known, stranger = Client(channel), Client(channel, metadata=(("authorization", "bearer eyX"),))
    request = dispatcher_pb2.GetVersionRequest()

    async def ask(client: Client) -> bool:
        call = client.call("Dispatcher/GetVersion", request)
        if client is stranger:
            return await refusal(call) == INVALID
        return bool((await call).version)

    clients = [known, stranger] * 50
    assert all(await asyncio.gather(*map(ask, clients)))


async def test_real_tokens_are_verified_and_revoked(
    engine: RecordingEngine, committed_db: None, settings: Settings
) -> None:
    settings.HATCHET = make_installation()
    cache = TokenCache(max_age_seconds=3600)
    tenant, good, revoked, expired = await asyncio.to_thread(_issue_tokens)
    server = RpcServer(engine, cache, ServerSettings(host="127.0.0.1", port=0))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:

        def trigger(token: str) -> Any:
            client = Client(channel, metadata=(("authorization", f"bearer {token}"),))
            request = trigger_pb2.TriggerWorkflowRequest(name="a")
            return client.call("WorkflowService/TriggerWorkflow", request)

        await trigger(good)
        assert engine.calls["trigger_runs"][0][0] == tenant
        header, claims, signature = good.split(".")
        tampered = ".".join([header, claims[:-2] + "AA", signature])
        for dead in (expired, tampered, f"{header}.{claims}."):
            assert await refusal(trigger(dead)) == INVALID
        await trigger(revoked)
        await asyncio.to_thread(_revoke, revoked)
        cache.forget(read_token(revoked).token_id)
        assert await refusal(trigger(revoked)) == INVALID
        await trigger(good)
    await server.stop(0)


def _issue_tokens() -> tuple[UUID, str, str, str]:
    slug = f"tenant-{new_id()}"
    tenant = Tenant.objects.create(name=slug, slug=slug)
    good = create_token(tenant, "good")[1]
    revoked = create_token(tenant, "revoked")[1]
    expired = create_token(tenant, "expired", timedelta(seconds=-10))[1]
    connection.close()
    return tenant.id, good, revoked, expired


def _revoke(token: str) -> None:
    assert revoke_token(read_token(token).token_id)
    connection.close()
