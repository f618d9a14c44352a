"""Whoever has another tenant's token learns nothing of this one over gRPC, and changes nothing of it.

Every method is called, against the real engine, with ids of this tenant wherever it takes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from engine.rpc.server import RpcServer, ServerSettings
from engine.runtime.engine import HatchetEngine
from tenants.models import Tenant, TokenScope
from tenants.token_claims import VerifiedToken
from tests.api import factories
from tests.rpc.client import METHODS, Client
from tests.runtime.harness import with_django
from tests.tenant_rows import rows_of

SECRET = "zanzibar"
OF_THE_ENGINES = {"engine_lease", "engine_runtally", "engine_logtally"}
"""Tables that engines write by themselves."""
SILENCE_SECONDS = 0.3
"""How long a stream that says nothing is listened to."""
JSON_FIELDS = ("input", "payload", "metadata", "overrides")
LONG_AGO = Timestamp(seconds=1_577_836_800)
DEEPEST = 4


class OneToken:
    def __init__(self, tenant_id: UUID) -> None:
        expires_at = datetime(2099, 1, 1, tzinfo=UTC)
        self._token = VerifiedToken(tenant_id, UUID(int=7), expires_at, TokenScope.FULL)

    def peek(self, token: str) -> VerifiedToken:
        return self._token

    def verify(self, token: str) -> VerifiedToken:
        return self._token


@asynccontextmanager
async def client_of(engine: HatchetEngine, tenant_id: UUID) -> AsyncIterator[Client]:
    """A client with a token of the tenant, and a server for it."""
    server = RpcServer(engine, OneToken(tenant_id), ServerSettings(host="127.0.0.1", port=0))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Client(channel)
    await server.stop(0)


@pytest.fixture
async def stranger(engine: HatchetEngine, stranger_id: UUID) -> AsyncIterator[Client]:
    async with client_of(engine, stranger_id) as client:
        yield client


@pytest.fixture
async def ids(tenant_id: UUID) -> list[str]:
    """A workflow, a run that is done, one that waits, a worker, an event; a word is in all of them."""

    def make() -> list[str]:
        tenant = Tenant.objects.get(id=tenant_id)
        workflow = factories.make_workflow(tenant, SECRET)
        told = {"told": SECRET}
        done = factories.start_run(tenant, SECRET, told, metadata=told)
        (task,) = factories.tasks_of(done)
        factories.complete(task, told)
        waiting = factories.start_run(tenant, SECRET, told, metadata=told)
        worker = factories.make_worker(tenant, SECRET, is_active=False)
        event = factories.push_event(tenant, SECRET, told, metadata=told)
        found = (workflow.workflow_id, workflow.version_id, done.id, waiting.id, worker.id)
        return [str(each) for each in (*found, event.event_id)]

    return await with_django(make)


def messages(descriptor: Descriptor, identity: str, depth: int = 0) -> Iterator[Message]:
    """Requests with that id in every field for an id: one, or one for each way to fill it in."""
    kinds = [oneof for oneof in descriptor.oneofs if len(oneof.fields) > 1]
    chosen = [field for oneof in kinds for field in oneof.fields] or [None]
    for choice in chosen:
        message = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            others = field.containing_oneof in kinds and field is not choice
            if not others and depth < DEEPEST:
                _fill(message, field, identity, depth)
        yield message


def _fill(message: Message, field: FieldDescriptor, identity: str, depth: int) -> None:
    inner, target = field.message_type, getattr(message, field.name)
    if inner is None:
        value = _scalar(field, identity)
        if field.is_repeated:
            target.append(value)
        else:
            setattr(message, field.name, value)
    elif not inner.GetOptions().map_entry:
        is_time = inner.full_name == Timestamp.DESCRIPTOR.full_name
        (value, *_) = [LONG_AGO] if is_time else messages(inner, identity, depth + 1)
        if field.is_repeated:
            target.append(value)
        else:
            target.CopyFrom(value)


def _scalar(field: FieldDescriptor, identity: str) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"{}"
    if field.type == FieldDescriptor.TYPE_STRING:
        if {"id", "ids"} & {*field.name.split("_")}:
            return identity
        return "{}" if any(word in field.name for word in JSON_FIELDS) else "a"
    return field.type == FieldDescriptor.TYPE_BOOL or 1


async def answers(stranger: Client, name: str, request: Message) -> list[str]:
    """All that a call is told: answers, or the status and sentence it is refused with."""
    method = METHODS[name]
    call = stranger.converse(name) if method.client_streaming else stranger.call(name, request)
    heard: list[str] = []
    try:
        if method.client_streaming:
            await call.write(request)
        if not method.server_streaming:
            return [str(await call)]
        with suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_SECONDS):
                async for answer in call:
                    heard.append(str(answer))  # noqa: PERF401  what came before the silence counts
    except grpc.aio.AioRpcError as error:
        heard.append(f"{error.code().name} {error.details()}")
    finally:
        call.cancel()
    return heard


async def leaks(stranger: Client, name: str, ids: list[str]) -> list[str]:
    """What the method tells of the tenant that it was not told itself; or that it failed."""

    async def ask(identity: str, request: Message) -> list[str]:
        words = {SECRET, *ids} - {identity}
        return [
            heard
            for heard in await answers(stranger, name, request)
            if heard.startswith("INTERNAL") or any(word in heard for word in words)
        ]

    asked = [
        ask(identity, request)
        for identity in ids
        for request in messages(METHODS[name].input_type, identity)
    ]
    return [heard for told in await asyncio.gather(*asked) for heard in told]


async def test_a_foreign_caller_learns_and_changes_nothing(
    stranger: Client, tenant_id: UUID, ids: list[str]
) -> None:
    def rows() -> dict[str, list[str]]:
        return rows_of(tenant_id, but=OF_THE_ENGINES)

    before = await with_django(rows)
    told = {name: await leaks(stranger, name, ids) for name in METHODS}
    assert {name: heard for name, heard in told.items() if heard} == {}
    assert await with_django(rows) == before


async def test_the_owner_is_told(engine: HatchetEngine, tenant_id: UUID, ids: list[str]) -> None:
    """The walk would see what it must not: with a token of the tenant itself it does."""
    async with client_of(engine, tenant_id) as owner:
        for name in ("v1.AdminService/GetRunDetails", "Dispatcher/SubscribeToWorkflowRuns"):
            assert await leaks(owner, name, ids), name
