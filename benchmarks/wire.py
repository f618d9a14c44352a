"""The lean client and worker: the real protocol on raw stubs, nothing around it.

What they cost themselves is small and the same against the engine and against the empty server, so the
difference is the engine.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import orjson

from benchmarks.shapes import SHAPES, limit, steps_of
from engine.pb import dispatcher_pb2 as dispatcher
from engine.pb import (
    dispatcher_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    workflows_pb2,
    workflows_pb2_grpc,
)
from engine.pb.v1 import workflows_pb2_grpc as v1_workflows_grpc
from engine.pb.v1.shared import trigger_pb2

HEARTBEAT_SECONDS = 4.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.max_send_message_length", 16 << 20),
]
_STARTED = dispatcher.STEP_EVENT_TYPE_STARTED
_COMPLETED = dispatcher.STEP_EVENT_TYPE_COMPLETED


def stub(kind: Any, channel: grpc.aio.Channel) -> Any:
    """Make a generated stub; the generated modules carry no types."""
    return kind(channel)


@dataclass(frozen=True, slots=True)
class Target:
    """A server and the credential for it."""

    address: str
    token: str

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(self.address, options=_OPTIONS)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)


class LeanClient:
    """Registers workflows and triggers them."""

    def __init__(self, target: Target) -> None:
        self._metadata = target.metadata
        self._numbers = itertools.count()
        channel = target.channel()
        self._workflows = stub(workflows_pb2_grpc.WorkflowServiceStub, channel)
        self._admin = stub(v1_workflows_grpc.AdminServiceStub, channel)
        self._dispatcher = stub(dispatcher_pb2_grpc.DispatcherStub, channel)
        self._events = stub(events_pb2_grpc.EventsServiceStub, channel)

    async def put_workflow(self, workflow: str, shape: str) -> None:
        await self._admin.PutWorkflow(SHAPES[shape](workflow), metadata=self._metadata)

    async def put_limit(self) -> None:
        await self._workflows.PutRateLimit(limit(), metadata=self._metadata)

    async def trigger(self, workflow: str) -> None:
        await self._workflows.TriggerWorkflow(make_request(workflow), metadata=self._metadata)

    async def trigger_bulk(self, workflow: str, size: int, keys: int) -> None:
        """Trigger `size` runs, with that many keys in turn."""
        request = workflows_pb2.BulkTriggerWorkflowRequest(
            workflows=[make_request(workflow, next(self._numbers) % keys) for _ in range(size)]
        )
        await self._workflows.BulkTriggerWorkflow(request, metadata=self._metadata)

    async def push(self, key: str, scope: str | None = None) -> None:
        """Push an event whose payload says when it was sent."""
        payload = orjson.dumps({"sent": time.monotonic()}).decode()
        request = events_pb2.PushEventRequest(key=key, payload=payload, scope=scope)
        request.event_timestamp.GetCurrentTime()
        await self._events.Push(request, metadata=self._metadata)

    async def ping(self) -> None:
        """Make the cheapest unary call there is."""
        await self._dispatcher.GetVersion(dispatcher.GetVersionRequest(), metadata=self._metadata)


def make_request(workflow: str, key: int = 0) -> trigger_pb2.TriggerWorkflowRequest:
    """One run; its input says when it was sent, and its key as text."""
    text = orjson.dumps({"sent": time.monotonic(), "key": f"key-{key}"}).decode()
    return trigger_pb2.TriggerWorkflowRequest(name=workflow, input=text)


class Count:
    """A number that grows; `reach` waits until it is large enough."""

    def __init__(self) -> None:
        self.value = 0
        self._goal = 0
        self._reached = asyncio.Event()

    def add_one(self) -> None:
        self.value += 1
        if self.value == self._goal:
            self._reached.set()

    async def reach(self, goal: int) -> None:
        self._goal = goal
        if self.value < goal:
            self._reached.clear()
            await self._reached.wait()


@dataclass(slots=True)
class Tally:
    """What a worker saw since it was last asked: delays from trigger call to task start."""

    delays: list[float] = field(default_factory=list)
    started_count: Count = field(default_factory=Count)
    completed_count: Count = field(default_factory=Count)
    last_completed: float = 0.0


class LeanWorker:
    """Reports STARTED and COMPLETED for everything it is sent; with `holds`, never completes."""

    def __init__(self, target: Target, *, holds: bool = False) -> None:
        self._metadata = target.metadata
        self._stub = stub(dispatcher_pb2_grpc.DispatcherStub, target.channel())
        self._holds = holds
        self._tasks: set[asyncio.Task[None]] = set()
        self.tally = Tally()

    async def start(self, workflows: Mapping[str, str], slots: int, pool: str = "default") -> str:
        """Register for the tasks of workflows, given with their shapes; again for one more worker.

        Returns the worker's id.
        """
        actions = [
            f"{workflow}:{step}"
            for workflow, shape in workflows.items()
            for step in steps_of(shape)
        ]
        response = await self._stub.Register(
            dispatcher.WorkerRegisterRequest(
                worker_name="lean", actions=actions, slot_config={pool: slots}
            ),
            metadata=self._metadata,
        )
        self._keep(self._listen(response.worker_id))
        self._keep(self._beat(response.worker_id))
        worker_id: str = response.worker_id
        return worker_id

    async def _listen(self, worker_id: str) -> None:
        request = dispatcher.WorkerListenRequest(worker_id=worker_id)
        async for action in self._stub.ListenV2(request, metadata=self._metadata):
            sent = orjson.loads(action.action_payload)["input"]["sent"]
            self.tally.delays.append(time.monotonic() - sent)
            self.tally.started_count.add_one()
            self._keep(self._run(action, worker_id))

    async def _beat(self, worker_id: str) -> None:
        for _ in itertools.count():
            request = dispatcher.HeartbeatRequest(worker_id=worker_id)
            await self._stub.Heartbeat(request, metadata=self._metadata)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _run(self, action: dispatcher.AssignedAction, worker_id: str) -> None:
        await self._report(action, worker_id, _STARTED, "")
        if self._holds:
            return
        if not await self.work(action):
            return
        await self._report(action, worker_id, _COMPLETED, '{"ok":true}')
        self.tally.last_completed = time.monotonic()
        self.tally.completed_count.add_one()

    async def work(self, action: dispatcher.AssignedAction) -> bool:
        """What a task does: nothing. False if the task goes on elsewhere and is not to be reported."""
        return True

    async def _report(
        self,
        action: dispatcher.AssignedAction,
        worker_id: str,
        kind: dispatcher.StepActionEventType,
        payload: str,
    ) -> None:
        await self._stub.SendStepActionEvent(
            dispatcher.StepActionEvent(
                worker_id=worker_id,
                job_id=action.job_id,
                job_run_id=action.job_run_id,
                task_id=action.task_id,
                task_run_external_id=action.task_run_external_id,
                action_id=action.action_id,
                event_type=kind,
                event_payload=payload,
                retry_count=action.retry_count,
            ),
            metadata=self._metadata,
        )

    def _keep(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the lean worker failed", "exception": task.exception()}
            )
