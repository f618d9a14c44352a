"""A client of the first generation: it registers with the old call, and replays an event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from engine.pb import dispatcher_pb2, events_pb2, workflows_pb2
from engine.pb.v1 import workflows_pb2 as pb
from tests.e2e.stack import Stack
from tests.e2e.tenant import PATIENCE_SECONDS, Tenant
from tests.rpc.client import Client

ACTION = "old:run"


@pytest.fixture
async def client(stack: Stack, tenant: Tenant) -> AsyncIterator[Client]:
    async with grpc.aio.insecure_channel(stack.grpc_address) as channel:
        yield Client(channel, (("authorization", f"bearer {tenant.token}"),))


async def test_an_old_definition_runs_and_its_event_can_be_replayed(client: Client) -> None:
    step = workflows_pb2.CreateWorkflowStepOpts(readable_id="run", action=ACTION)
    definition = workflows_pb2.CreateWorkflowVersionOpts(
        name="old",
        event_triggers=["order:created"],
        jobs=[workflows_pb2.CreateWorkflowJobOpts(name="job", steps=[step])],
    )
    request = workflows_pb2.PutWorkflowRequest(opts=definition)
    version = await client.call("WorkflowService/PutWorkflow", request)
    again = await client.call("WorkflowService/PutWorkflow", request)
    assert (again.id, again.workflow_id, again.order) == (version.id, version.workflow_id, 1)
    worker = await client.call(
        "Dispatcher/Register",
        dispatcher_pb2.WorkerRegisterRequest(worker_name="old", actions=[ACTION]),
    )
    listen = dispatcher_pb2.WorkerListenRequest(worker_id=worker.worker_id)
    stream = client.call("Dispatcher/ListenV2", listen)
    beats = asyncio.create_task(_beat(client, worker.worker_id))
    try:
        push = events_pb2.PushEventRequest(key="order:created", payload='{"n":7}')
        first = await client.call("EventsService/Push", push)
        assert await _complete_next(client, stream, worker.worker_id) == first.event_id
        replay = events_pb2.ReplayEventRequest(event_id=first.event_id)
        second = await client.call("EventsService/ReplaySingleEvent", replay)
        assert (second.key, second.payload) == (first.key, first.payload)
        assert second.event_id != first.event_id
        assert await _complete_next(client, stream, worker.worker_id) == second.event_id
    finally:
        beats.cancel()
        stream.cancel()


async def _beat(client: Client, worker_id: str) -> None:
    while True:
        request = dispatcher_pb2.HeartbeatRequest(worker_id=worker_id)
        await client.call("Dispatcher/Heartbeat", request)
        await asyncio.sleep(1.0)


async def _complete_next(client: Client, stream: Any, worker_id: str) -> str:
    """Do the next task; return the event that started it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        action = await stream.read()
    assert json.loads(action.action_payload)["input"] == {"n": 7}
    report = dispatcher_pb2.StepActionEvent(
        worker_id=worker_id,
        task_run_external_id=action.task_run_external_id,
        event_type=dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED,
        event_payload='{"ok":true}',
        retry_count=action.retry_count,
    )
    await client.call("Dispatcher/SendStepActionEvent", report)
    details = await client.call(
        "v1.AdminService/GetRunDetails",
        pb.GetRunDetailsRequest(external_id=action.workflow_run_id),
    )
    assert details.done
    return str(action.triggering_event_external_id)
