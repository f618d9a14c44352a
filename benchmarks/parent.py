"""A lean worker whose task spawns many children and waits for their results, as SDKs do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from benchmarks.wire import LeanWorker, Target, make_request, stub
from engine.pb import dispatcher_pb2 as dispatcher
from engine.pb import workflows_pb2, workflows_pb2_grpc


class ParentWorker(LeanWorker):
    """Spawns `count` children in one call and follows them over one stream."""

    def __init__(self, target: Target, child: str, count: int) -> None:
        super().__init__(target)
        self._child, self._count = child, count
        self._workflows = stub(workflows_pb2_grpc.WorkflowServiceStub, target.channel())

    async def work(self, action: dispatcher.AssignedAction) -> bool:
        request = workflows_pb2.BulkTriggerWorkflowRequest()
        for index in range(self._count):
            child = make_request(self._child)
            child.parent_id = action.workflow_run_id
            child.parent_task_run_external_id = action.task_run_external_id
            child.child_index = index
            request.workflows.append(child)
        spawned = await self._workflows.BulkTriggerWorkflow(request, metadata=self._metadata)
        waited = set(spawned.workflow_run_ids)
        done = asyncio.Event()
        finished = self._stub.SubscribeToWorkflowRuns(
            _ask_for(spawned.workflow_run_ids, done), metadata=self._metadata
        )
        async for event in finished:
            waited.discard(event.workflow_run_id)
            if not waited:
                break
        done.set()
        return True


async def _ask_for(
    run_ids: list[str], done: asyncio.Event
) -> AsyncIterator[dispatcher.SubscribeToWorkflowRunsRequest]:
    for run_id in run_ids:
        yield dispatcher.SubscribeToWorkflowRunsRequest(workflow_run_id=run_id)
    await done.wait()
