"""A server that speaks the same calls and stream messages and does nothing else: the floor of the wire.

python -m benchmarks.empty_server      (prints its port)
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import uvloop

from engine.pb import dispatcher_pb2 as dispatcher
from engine.pb import dispatcher_pb2_grpc, workflows_pb2, workflows_pb2_grpc
from engine.pb.v1 import workflows_pb2 as v1_workflows
from engine.pb.v1 import workflows_pb2_grpc as v1_workflows_grpc
from engine.pb.v1.shared import trigger_pb2

SOME_ID = str(UUID(int=7))


class EmptyServer(
    dispatcher_pb2_grpc.DispatcherServicer,
    workflows_pb2_grpc.WorkflowServiceServicer,
    v1_workflows_grpc.AdminServiceServicer,
):
    """Hands each triggered run to the one worker's stream, from memory."""

    def __init__(self) -> None:
        self._actions: asyncio.Queue[dispatcher.AssignedAction] = asyncio.Queue()
        self._numbers = itertools.count(1 << 100)

    async def GetVersion(
        self, request: dispatcher.GetVersionRequest, context: grpc.aio.ServicerContext
    ) -> dispatcher.GetVersionResponse:
        return dispatcher.GetVersionResponse(version="v0.0.0")

    async def Register(
        self, request: dispatcher.WorkerRegisterRequest, context: grpc.aio.ServicerContext
    ) -> dispatcher.WorkerRegisterResponse:
        return dispatcher.WorkerRegisterResponse(tenant_id=SOME_ID, worker_id=SOME_ID)

    async def Heartbeat(
        self, request: dispatcher.HeartbeatRequest, context: grpc.aio.ServicerContext
    ) -> dispatcher.HeartbeatResponse:
        return dispatcher.HeartbeatResponse()

    async def SendStepActionEvent(
        self, request: dispatcher.StepActionEvent, context: grpc.aio.ServicerContext
    ) -> dispatcher.ActionEventResponse:
        return dispatcher.ActionEventResponse(tenant_id=SOME_ID, worker_id=SOME_ID)

    async def ListenV2(
        self, request: dispatcher.WorkerListenRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[dispatcher.AssignedAction]:
        while True:
            yield await self._actions.get()

    async def TriggerWorkflow(
        self,
        request: trigger_pb2.TriggerWorkflowRequest,
        context: grpc.aio.ServicerContext,
    ) -> workflows_pb2.TriggerWorkflowResponse:
        return workflows_pb2.TriggerWorkflowResponse(
            workflow_run_id=self._start(request.name, request.input)
        )

    async def BulkTriggerWorkflow(
        self, request: workflows_pb2.BulkTriggerWorkflowRequest, context: grpc.aio.ServicerContext
    ) -> workflows_pb2.BulkTriggerWorkflowResponse:
        return workflows_pb2.BulkTriggerWorkflowResponse(
            workflow_run_ids=[self._start(run.name, run.input) for run in request.workflows]
        )

    async def PutWorkflow(
        self,
        request: v1_workflows.CreateWorkflowVersionRequest,
        context: grpc.aio.ServicerContext,
    ) -> v1_workflows.CreateWorkflowVersionResponse:
        return v1_workflows.CreateWorkflowVersionResponse(id=SOME_ID, workflow_id=SOME_ID)

    def _start(self, workflow: str, text: str) -> str:
        run_id = str(UUID(int=next(self._numbers)))
        self._actions.put_nowait(
            dispatcher.AssignedAction(
                tenant_id=SOME_ID,
                workflow_run_id=run_id,
                job_id=SOME_ID,
                job_run_id=run_id,
                task_id=SOME_ID,
                task_run_external_id=run_id,
                action_id=f"{workflow}:run",
                action_payload=f'{{"input":{text},"triggered_by":"manual","parents":{{}}}}',
                task_name="run",
                priority=1,
                workflow_id=SOME_ID,
                workflow_version_id=SOME_ID,
            )
        )
        return run_id


async def _serve() -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 16 << 20)])
    servicer = EmptyServer()
    registrations: list[Any] = [  # the generated functions carry no types
        dispatcher_pb2_grpc.add_DispatcherServicer_to_server,
        workflows_pb2_grpc.add_WorkflowServiceServicer_to_server,
        v1_workflows_grpc.add_AdminServiceServicer_to_server,
    ]
    for register in registrations:
        register(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve())
