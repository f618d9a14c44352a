"""What a token of each scope may call over gRPC: every method of the contract, and workers' own limits."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from engine.ids import new_id
from engine.pb import workflows_pb2
from engine.pb.v1 import workflows_pb2 as v1_workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.server import RpcServer
from engine.rpc.streams import Stream
from tenants.models import TokenScope
from tenants.token_scopes import RPCS, refusal
from tests.rpc.client import METHODS, PATIENCE_SECONDS, Client, KnownToken, stamp
from tests.rpc.client import refusal as refusal_of
from tests.rpc.recording_engine import NOW, RecordingEngine

DENIED = grpc.StatusCode.PERMISSION_DENIED
PARENT = str(new_id())
WORKER_REQUESTS: dict[str, Any] = {
    "WorkflowService/TriggerWorkflow": trigger_pb2.TriggerWorkflowRequest(
        name="a", parent_task_run_external_id=PARENT, child_index=0
    ),
    "WorkflowService/ScheduleWorkflow": workflows_pb2.ScheduleWorkflowRequest(
        name="a", schedules=[stamp(NOW)], parent_task_run_external_id=PARENT, child_index=0
    ),
}
"""Where a worker's token needs more than an empty request."""


class Doors:
    """Tells which methods let the caller in: unary ones by not denying, streams by opening."""

    def __init__(self, server: RpcServer, channel: grpc.aio.Channel) -> None:
        self._client = Client(channel)
        self._streams = server._streams
        self._add = self._streams.add

    async def opens(self, name: str) -> tuple[bool, str]:
        """Whether the method may be called; if not, the sentence it is refused with."""
        method = METHODS[name]
        if method.client_streaming:
            call = self._client.converse(name)
        else:
            empty = GetMessageClass(method.input_type)()
            call = self._client.call(name, WORKER_REQUESTS.get(name, empty))
        async with asyncio.timeout(PATIENCE_SECONDS):
            if method.server_streaming:
                return await self._stream_opens(call)
            try:
                await call
            except grpc.aio.AioRpcError as error:
                return error.code() is not DENIED, error.details() or ""
            return True, ""

    async def _stream_opens(self, call: Any) -> tuple[bool, str]:
        opened = asyncio.Event()

        def add(stream: Stream, token: str) -> None:
            self._add(stream, token)
            opened.set()

        self._streams.add = add  # type: ignore[method-assign]  # seen from outside
        told = asyncio.ensure_future(refusal_of(call))
        came = asyncio.ensure_future(opened.wait())
        await asyncio.wait({told, came}, return_when=asyncio.FIRST_COMPLETED)
        if opened.is_set():
            call.cancel()
            await asyncio.gather(told, return_exceptions=True)
            return True, ""
        came.cancel()
        code, sentence = await told
        return code is not DENIED, sentence


def test_every_method_has_its_place() -> None:
    assert set(RPCS) == {method.full_name for method in METHODS.values()}


@pytest.mark.parametrize("scope", TokenScope)
async def test_a_token_calls_what_its_scope_allows_and_nothing_else(
    scope: TokenScope, server: RpcServer, channel: grpc.aio.Channel, verifier: KnownToken
) -> None:
    verifier.scope = scope
    doors = Doors(server, channel)
    wrong = {}
    for name, method in METHODS.items():
        opens, sentence = await doors.opens(name)
        is_allowed = scope in RPCS[method.full_name]
        if opens != is_allowed or (not opens and sentence != refusal(scope, method.full_name)):
            wrong[name] = (opens, sentence)
    assert wrong == {}


@pytest.mark.parametrize("scope", [scope for scope in TokenScope if scope != TokenScope.FULL])
async def test_what_is_refused_never_reaches_the_engine(
    scope: TokenScope, client: Client, verifier: KnownToken, engine: RecordingEngine
) -> None:
    verifier.scope = scope
    request = v1_workflows_pb2.ReplayTasksRequest(external_ids=[str(new_id())])
    # The first call has its token looked at, the second finds it in memory.
    for _ in range(2):
        code, sentence = await refusal_of(client.call("v1.AdminService/ReplayTasks", request))
        assert code is DENIED
        assert scope.value in sentence
    assert not engine.calls


class TestWorkers:
    """A worker's token starts and cancels on behalf of tasks only."""

    @pytest.fixture(autouse=True)
    def _worker(self, verifier: KnownToken) -> None:
        verifier.scope = TokenScope.WORKER_ONLY

    @pytest.fixture(params=[False, True], ids=["unknown token", "known token"], autouse=True)
    def _known(self, request: pytest.FixtureRequest, verifier: KnownToken, _worker: None) -> None:
        if request.param:
            verifier.verify("eyGood.token.text")

    @pytest.mark.parametrize(
        ("name", "request_"),
        [
            ("WorkflowService/TriggerWorkflow", trigger_pb2.TriggerWorkflowRequest(name="a")),
            (
                "WorkflowService/TriggerWorkflow",
                trigger_pb2.TriggerWorkflowRequest(name="a", parent_id=PARENT, child_index=0),
            ),
            (
                "WorkflowService/TriggerWorkflow",
                trigger_pb2.TriggerWorkflowRequest(name="a", parent_task_run_external_id=""),
            ),
            (
                "WorkflowService/BulkTriggerWorkflow",
                workflows_pb2.BulkTriggerWorkflowRequest(
                    workflows=[
                        WORKER_REQUESTS["WorkflowService/TriggerWorkflow"],
                        trigger_pb2.TriggerWorkflowRequest(name="a"),
                    ]
                ),
            ),
            (
                "WorkflowService/ScheduleWorkflow",
                workflows_pb2.ScheduleWorkflowRequest(name="a", schedules=[stamp(NOW)]),
            ),
            (
                "v1.AdminService/CancelTasks",
                v1_workflows_pb2.CancelTasksRequest(
                    filter=v1_workflows_pb2.TasksFilter(since=stamp(NOW))
                ),
            ),
            (
                "v1.AdminService/TriggerWorkflowRun",
                v1_workflows_pb2.TriggerWorkflowRunRequest(workflow_name="a"),
            ),
        ],
        ids=["run", "run with a parent run", "blank", "one of a bulk", "schedule", "filter", "v1"],
    )
    async def test_nothing_of_its_own(
        self, name: str, request_: Any, client: Client, engine: RecordingEngine
    ) -> None:
        code, sentence = await refusal_of(client.call(name, request_))
        assert code is DENIED
        assert METHODS[name].full_name in sentence
        assert not engine.calls

    async def test_children_and_the_cancelling_of_tasks_by_id(
        self, client: Client, engine: RecordingEngine
    ) -> None:
        child = WORKER_REQUESTS["WorkflowService/TriggerWorkflow"]
        await client.call("WorkflowService/TriggerWorkflow", child)
        bulk = workflows_pb2.BulkTriggerWorkflowRequest(workflows=[child, child])
        await client.call("WorkflowService/BulkTriggerWorkflow", bulk)
        assert len(engine.calls["trigger_runs"]) == 2
        ids = v1_workflows_pb2.CancelTasksRequest(external_ids=[PARENT])
        await client.call("v1.AdminService/CancelTasks", ids)
        assert len(engine.calls["cancel"]) == 1
