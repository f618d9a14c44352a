"""What must be refused, and how, over real processes: bad tokens, foreign ids, bad input."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import grpc
import grpc.aio
import pytest

from engine.pb import dispatcher_pb2, events_pb2
from engine.pb.v1 import workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.states import Status
from tests.e2e.stack import Stack
from tests.e2e.tenant import Client, Tenant, wait_for
from tests.rpc.client import Client as RpcClient
from tests.rpc.client import refusal

MEBIBYTE = 1024 * 1024
TRIGGER = "WorkflowService/TriggerWorkflow"
DETAILS = "v1.AdminService/GetRunDetails"
HEARD_SECONDS = 10.0
"""A machine that has much else to do takes longer than the second that is promised."""


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    tenant.start_worker("basics")
    return tenant.start_client("basics")


@pytest.fixture(scope="module")
def stranger(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenant]:
    tenant = Tenant.create(stack, tmp_path_factory.mktemp("stranger"))
    yield tenant
    tenant.close()


@pytest.fixture
async def channel(stack: Stack) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_send_message_length", 16 * MEBIBYTE)]
    async with grpc.aio.insecure_channel(stack.grpc_address, options) as channel:
        yield channel


def bearer(channel: grpc.aio.Channel, token: str) -> RpcClient:
    return RpcClient(channel, (("authorization", f"bearer {token}"),))


def trigger(text: str, name: str = "double") -> trigger_pb2.TriggerWorkflowRequest:
    return trigger_pb2.TriggerWorkflowRequest(name=name, input=text)


def http_status(stack: Stack, path: str, token: str) -> int:
    request = urllib.request.Request(
        stack.server_url + path, headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("name", "text", "code", "told"),
    [
        ("nobody-knows-it", "{}", grpc.StatusCode.INVALID_ARGUMENT, "not found: nobody-knows-it"),
        ("double", "[1]", grpc.StatusCode.INVALID_ARGUMENT, "input"),
        ("double", "{not json", grpc.StatusCode.INVALID_ARGUMENT, "input"),
        ("double", '{"comment":"\\u0000"}', grpc.StatusCode.INVALID_ARGUMENT, "input"),
        ("double", json.dumps({"x": "y" * 5 * MEBIBYTE}), grpc.StatusCode.RESOURCE_EXHAUSTED, ""),
    ],
)
async def test_a_bad_trigger_is_refused_and_starts_nothing(
    channel: grpc.aio.Channel, tenant: Tenant, name: str, text: str, code: object, told: str
) -> None:
    count = "SELECT count(*) FROM engine_run WHERE tenant_id = %s"
    before = tenant.rows(count, tenant.id)
    answered, message = await refusal(
        bearer(channel, tenant.token).call(TRIGGER, trigger(text, name))
    )
    assert answered is code
    assert told in message
    assert tenant.rows(count, tenant.id) == before


@pytest.mark.parametrize("given", ["", "ey", "not.a.token"])
async def test_a_token_that_is_none_is_refused(
    stack: Stack, channel: grpc.aio.Channel, given: str
) -> None:
    code, message = await refusal(bearer(channel, given).call(TRIGGER, trigger("{}")))
    assert (code, message) == (grpc.StatusCode.UNAUTHENTICATED, "invalid auth token")
    assert http_status(stack, f"/api/v1/tenants/{uuid.uuid4()}/worker", given) in (401, 403)


async def test_a_tampered_or_expired_token_is_refused(
    stack: Stack, channel: grpc.aio.Channel, tenant: Tenant, tmp_path: Path
) -> None:
    header, claims, signature = tenant.token.split(".")
    tampered = ".".join((header, claims[:-2] + ("AA" if claims[-2:] != "AA" else "BB"), signature))
    expired = tenant.new_token("--expires-in", "1s")
    for token in (tampered, expired):

        async def is_refused(token: str = token) -> bool:
            call = bearer(channel, token).call(
                "Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest()
            )
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.UNAUTHENTICATED
            return False

        async with asyncio.timeout(10):
            while not await is_refused():  # noqa: ASYNC110  (the token ends by itself)
                await asyncio.sleep(0.05)
        path = f"/api/v1/tenants/{tenant.id}/worker"
        assert http_status(stack, path, token) in (401, 403)


async def test_a_revoked_token_is_soon_refused_everywhere(
    stack: Stack, channel: grpc.aio.Channel, tenant: Tenant
) -> None:
    token = tenant.new_token("--name", "to be revoked")
    rpc, path = bearer(channel, token), f"/api/v1/tenants/{tenant.id}/worker"
    await rpc.call("Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest())
    assert http_status(stack, path, token) == 200
    (row,) = tenant.rows(
        "SELECT id FROM tenants_apitoken WHERE tenant_id = %s AND name = 'to be revoked'", tenant.id
    )
    await asyncio.to_thread(revoke, stack, row[0])
    async with asyncio.timeout(HEARD_SECONDS):
        code, _ = await refusal_of_version(rpc)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    wait_for(
        "the web process", lambda: http_status(stack, path, token) in (401, 403), HEARD_SECONDS
    )


def revoke(stack: Stack, token_id: UUID) -> None:
    """Sign in and revoke as a person does."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    body = json.dumps({"email": "admin@example.com", "password": stack.password}).encode()
    headers = {"Content-Type": "application/json"}
    opener.open(
        urllib.request.Request(f"{stack.server_url}/api/v1/users/login", body, headers)
    ).close()
    opener.open(
        urllib.request.Request(f"{stack.server_url}/api/v1/api-tokens/{token_id}", b"{}", headers)
    ).close()


async def refusal_of_version(rpc: RpcClient) -> tuple[grpc.StatusCode, str]:
    while True:
        try:
            await rpc.call("Dispatcher/GetVersion", dispatcher_pb2.GetVersionRequest())
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""


async def test_a_stranger_sees_and_changes_nothing(
    stack: Stack,
    channel: grpc.aio.Channel,
    tenant: Tenant,
    client: Client,
    stranger: Tenant,
) -> None:
    run_id = await asyncio.to_thread(client.call, "start_waiting")
    await asyncio.to_thread(tenant.wait_for_marks, "arrived")
    (worker,) = tenant.rows("SELECT id FROM engine_worker WHERE tenant_id = %s", tenant.id)
    rpc = bearer(channel, stranger.token)
    details = workflows_pb2.GetRunDetailsRequest(external_id=run_id)
    listen = dispatcher_pb2.WorkerListenRequest(worker_id=str(worker[0]))
    beat = dispatcher_pb2.HeartbeatRequest(worker_id=str(worker[0]))
    stream = events_pb2.PutStreamEventRequest(task_run_external_id=run_id, message=b"x")
    for name, request in (
        (DETAILS, details),
        ("Dispatcher/ListenV2", listen),
        ("Dispatcher/Heartbeat", beat),
        ("EventsService/PutStreamEvent", stream),
    ):
        code, _ = await refusal(rpc.call(name, request))
        assert code is grpc.StatusCode.NOT_FOUND, name
    report = dispatcher_pb2.StepActionEvent(
        task_run_external_id=run_id,
        event_type=dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED,
        event_payload='{"by":"a stranger"}',
    )
    code, _ = await refusal(rpc.call("Dispatcher/SendStepActionEvent", report))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    await rpc.call(
        "v1.AdminService/CancelTasks", workflows_pb2.CancelTasksRequest(external_ids=[run_id])
    )
    for path in (
        f"/api/v1/stable/workflow-runs/{run_id}",
        f"/api/v1/stable/tasks/{run_id}",
        f"/api/v1/workers/{worker[0]}",
        f"/api/v1/tenants/{tenant.id}/worker",
    ):
        assert http_status(stack, path, stranger.token) in (403, 404), path
    assert tenant.statuses([run_id]) == {run_id: Status.RUNNING}
    tenant.open_gate("basics")
    result = await asyncio.to_thread(client.call, "result_of", run_id=run_id)
    assert result == {"passed": "yes"}
