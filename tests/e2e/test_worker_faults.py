"""Workers that lose their connection or repeat themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import grpc
import grpc.aio
import pytest

from engine.pb import dispatcher_pb2
from engine.pb.v1 import workflows_pb2 as v1_workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.states import Status
from tests.e2e.proxy import CuttableProxy
from tests.e2e.stack import Stack
from tests.e2e.tenant import PATIENCE_SECONDS, Client, Tenant, wait_for
from tests.rpc.client import Client as RpcClient


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("scheduling")


def test_a_broken_stream_neither_loses_nor_repeats_a_task(
    stack: Stack, tenant: Tenant, client: Client
) -> None:
    with CuttableProxy(stack.grpc_address) as proxy:
        worker = tenant.start_worker("scheduling", {"HATCHET_CLIENT_HOST_PORT": proxy.address})
        (run_id,) = client.call("start_occupying", gate="cut", count=1)
        tenant.wait_for_marks("cut")
        wait_for("the task to be known as started", lambda: "STARTED" in tenant.history(run_id))
        proxy.cut()
        wait_for(
            "the engine to see the end of the stream", lambda: not is_active(tenant, worker.id)
        )
        tenant.open_gate("cut")
        tenant.wait_for_marks("cut", 2)
        wait_for("attempts to come back", lambda: proxy.refused > 0)
        assert tenant.statuses([run_id]) == {run_id: Status.RUNNING}
        proxy.mend()
        assert client.call("result", run_id=run_id)["occupy"] == {"worker": str(worker.id)}
        assert tenant.marks("cut") == [f"in {worker.id}", "out"]
        story = tenant.history(run_id)
        assert (story.count("FINISHED"), story.count("ASSIGNED")) == (1, 1)
        # The same worker is given work again over its new stream.
        wait_for("the worker to be back", lambda: is_active(tenant, worker.id))
        (next_id,) = client.call("start_occupying", gate="cut", count=1)
        assert client.call("result", run_id=next_id)["occupy"] == {"worker": str(worker.id)}
        worker.service.kill()


def is_active(tenant: Tenant, worker_id: UUID) -> bool:
    found = tenant.rows("SELECT is_active FROM engine_worker WHERE id = %s", worker_id)
    return bool(found[0][0])


@pytest.fixture
async def rpc(stack: Stack, tenant: Tenant) -> AsyncIterator[RpcClient]:
    async with grpc.aio.insecure_channel(stack.grpc_address) as channel:
        yield RpcClient(channel, (("authorization", f"bearer {tenant.token}"),))


class Assigned(NamedTuple):
    """`stream` is the worker's: it ends when nobody holds it."""

    action: Any
    worker_id: str
    stream: Any


async def assigned(rpc: RpcClient, name: str, **task: Any) -> Assigned:
    """Register a workflow and a worker for it, trigger it; return what the worker was sent."""
    action = f"{name}:{name}"
    await rpc.call(
        "v1.AdminService/PutWorkflow",
        v1_workflows_pb2.CreateWorkflowVersionRequest(
            name=name,
            tasks=[
                v1_workflows_pb2.CreateTaskOpts(
                    readable_id=name, action=action, timeout="60s", **task
                )
            ],
        ),
    )
    worker_id, stream = await listening(rpc, name)
    await rpc.call(
        "WorkflowService/TriggerWorkflow",
        trigger_pb2.TriggerWorkflowRequest(name=name, input="{}"),
    )
    first = await asyncio.wait_for(stream.read(), PATIENCE_SECONDS)
    return Assigned(first, worker_id, stream)


async def listening(rpc: RpcClient, name: str) -> tuple[str, Any]:
    """Register a worker for that workflow; return its id and its stream."""
    worker = await rpc.call(
        "Dispatcher/Register",
        dispatcher_pb2.WorkerRegisterRequest(
            worker_name=name, actions=[f"{name}:{name}"], slot_config={"default": 5}
        ),
    )
    stream = rpc.call(
        "Dispatcher/ListenV2", dispatcher_pb2.WorkerListenRequest(worker_id=worker.worker_id)
    )
    await beat(rpc, worker.worker_id)
    return worker.worker_id, stream


async def beat(rpc: RpcClient, worker_id: str) -> None:
    await rpc.call("Dispatcher/Heartbeat", dispatcher_pb2.HeartbeatRequest(worker_id=worker_id))


def report(action: Any, worker_id: str, kind: Any, payload: str, retry_count: int = 0) -> Any:
    return dispatcher_pb2.StepActionEvent(
        worker_id=worker_id,
        task_run_external_id=action.task_run_external_id,
        action_id=action.action_id,
        event_type=kind,
        event_payload=payload,
        retry_count=retry_count,
    )


async def test_reports_about_a_finished_attempt_are_answered_and_change_nothing(
    tenant: Tenant, rpc: RpcClient
) -> None:
    action, worker_id, _stream = await assigned(rpc, "repeats", retries=3)
    run_id = action.workflow_run_id
    send = "Dispatcher/SendStepActionEvent"
    failed, completed = (
        dispatcher_pb2.STEP_EVENT_TYPE_FAILED,
        dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED,
    )
    started = dispatcher_pb2.STEP_EVENT_TYPE_STARTED
    # Only a worker that was heard of in the last five seconds gets the retry.
    await rpc.call("Dispatcher/Heartbeat", dispatcher_pb2.HeartbeatRequest(worker_id=worker_id))
    await rpc.call(send, report(action, worker_id, failed, "the first attempt"))
    await asyncio.to_thread(
        wait_for, "the retry", lambda: "ASSIGNED 1" in tenant.task_history(run_id)
    )
    # Stale: the first attempt is over, whatever is said about it.
    for kind, payload in ((failed, "again"), (completed, '{"stale":true}'), (started, "")):
        await rpc.call(send, report(action, worker_id, kind, payload))
    assert tenant.statuses([run_id]) == {run_id: Status.RUNNING}
    for kind, payload in ((completed, '{"n":1}'), (completed, '{"n":2}'), (failed, "late")):
        await rpc.call(send, report(action, worker_id, kind, payload, retry_count=1))
    await rpc.call(send, report(action, worker_id, started, "", retry_count=1))
    assert tenant.statuses([run_id]) == {run_id: Status.COMPLETED}
    story = tenant.task_history(run_id)
    assert [line for line in story if line.split()[0] in ("FAILED", "FINISHED")] == [
        "FAILED 0",
        "FINISHED 1",
    ]
    details = await rpc.call(
        "v1.AdminService/GetRunDetails",
        v1_workflows_pb2.GetRunDetailsRequest(external_id=run_id),
    )
    assert details.task_runs["repeats"].output == b'{"n":1}'


async def test_an_output_that_is_not_json_fails_the_task(tenant: Tenant, rpc: RpcClient) -> None:
    action, worker_id, _stream = await assigned(rpc, "babbles")
    completed = dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED
    await rpc.call(
        "Dispatcher/SendStepActionEvent", report(action, worker_id, completed, "{not json")
    )
    assert tenant.statuses([action.workflow_run_id]) == {action.workflow_run_id: Status.FAILED}


async def test_what_a_worker_does_not_acknowledge_is_given_to_another(
    tenant: Tenant, rpc: RpcClient
) -> None:
    action, deaf_id, _stream = await assigned(rpc, "swallows")
    healthy_id, stream = await listening(rpc, "swallows")
    reading = asyncio.ensure_future(stream.read())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not reading.done():
            await beat(rpc, deaf_id)
            await beat(rpc, healthy_id)
            await asyncio.wait([reading], timeout=1.0)
    again = reading.result()
    assert (again.task_run_external_id, again.retry_count) == (action.task_run_external_id, 1)
    completed = dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED
    await rpc.call(
        "Dispatcher/SendStepActionEvent",
        report(again, healthy_id, completed, '{"n":1}', retry_count=1),
    )
    assert tenant.statuses([action.workflow_run_id]) == {action.workflow_run_id: Status.COMPLETED}
    sql = "SELECT stalled_since IS NOT NULL FROM engine_worker WHERE id = ANY(%s) ORDER BY id"
    assert tenant.rows(sql, [UUID(deaf_id), UUID(healthy_id)]) == [(True,), (False,)]
