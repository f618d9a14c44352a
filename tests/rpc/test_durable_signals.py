"""Waits of older clients, and the unary calls about durable tasks."""

from __future__ import annotations

from uuid import UUID

import grpc
import pytest

from engine.domain.durable.calls import (
    Completion,
    Node,
    WaitCondition,
)
from engine.pb import dispatcher_pb2 as workers_pb
from engine.pb.v1 import dispatcher_pb2 as pb
from engine.pb.v1 import workflows_pb2
from engine.pb.v1.shared import condition_pb2
from engine.states import ConditionKind, DurableKind
from tests.rpc.client import TENANT_ID, Client, refusal
from tests.rpc.durable import GROUP, TASK, sleep
from tests.rpc.recording_engine import RecordingEngine

# The older API


async def test_a_wait_with_a_key_is_registered(client: Client, engine: RecordingEngine) -> None:
    conditions = condition_pb2.DurableEventListenerConditions(sleep_conditions=[sleep()])
    await client.call(
        "v1.V1Dispatcher/RegisterDurableEvent",
        pb.RegisterDurableEventRequest(task_id=str(TASK), signal_key="k", conditions=conditions),
    )
    assert engine.durable.calls["register_signal"] == [
        (TENANT_ID, TASK, "k", [WaitCondition(ConditionKind.SLEEP, GROUP, "5s", "sleep:5s")])
    ]


@pytest.mark.parametrize(
    "request_message",
    [
        pb.RegisterDurableEventRequest(task_id="x", signal_key="k"),
        pb.RegisterDurableEventRequest(
            task_id=str(TASK),
            signal_key="k",
            conditions=condition_pb2.DurableEventListenerConditions(
                sleep_conditions=[sleep(group="x")]
            ),
        ),
    ],
)
async def test_a_wait_with_a_key_that_makes_no_sense_is_refused(
    request_message: pb.RegisterDurableEventRequest, client: Client
) -> None:
    call = client.call("v1.V1Dispatcher/RegisterDurableEvent", request_message)
    assert (await refusal(call))[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_listener_hears_of_waits_that_are_over(
    client: Client, engine: RecordingEngine
) -> None:
    call, listener = (
        client.converse("v1.V1Dispatcher/ListenForDurableEvent"),
        engine.durable.listener,
    )
    await call.write(pb.ListenForDurableEventRequest(task_id="x", signal_key="k"))
    await call.write(pb.ListenForDurableEventRequest(task_id=str(TASK), signal_key="k"))
    assert await listener.keys.get() == (TASK, "k")
    listener.satisfied.put_nowait(
        Completion(TASK, 1, Node(0, 1), DurableKind.WAIT_FOR, None, b"{}", signal="k")
    )
    assert await call.read() == pb.DurableEvent(task_id=str(TASK), signal_key="k", data=b"{}")
    listener.satisfied.put_nowait(None)
    assert (await refusal(call))[0] == grpc.StatusCode.UNAVAILABLE


# Unary calls


async def test_an_evicted_task_is_restored(client: Client, engine: RecordingEngine) -> None:
    request = workers_pb.RestoreEvictedTaskRequest(task_run_external_id=str(TASK))
    assert (await client.call("Dispatcher/RestoreEvictedTask", request)).requeued
    assert engine.durable.calls["restore"] == [(TENANT_ID, TASK)]
    engine.durable.is_known = False
    call = client.call("Dispatcher/RestoreEvictedTask", request)
    assert (await refusal(call))[0] == grpc.StatusCode.NOT_FOUND
    request.task_run_external_id = "x"
    call = client.call("Dispatcher/RestoreEvictedTask", request)
    assert (await refusal(call))[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_task_is_run_again_from_a_node_on(client: Client, engine: RecordingEngine) -> None:
    request = workflows_pb2.BranchDurableTaskRequest(
        task_external_id=str(TASK), node_id=2, branch_id=1
    )
    answer = await client.call("v1.AdminService/BranchDurableTask", request)
    assert (UUID(answer.task_external_id), answer.node_id, answer.branch_id) == (TASK, 2, 2)
    assert engine.durable.calls["branch"] == [(TENANT_ID, TASK, 2, 1)]
    request.task_external_id = "x"
    call = client.call("v1.AdminService/BranchDurableTask", request)
    assert (await refusal(call))[0] == grpc.StatusCode.INVALID_ARGUMENT
