"""A worker without the SDK, for the tasks of load.py, that hands in every report until it is taken.

The SDK's own worker may lose a report when its connection breaks: it closes the channel that other
reports are under way on. What an engine promises shows only with a worker that keeps its side.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any

import grpc
import grpc.aio

from engine.pb import dispatcher_pb2 as pb
from engine.pb.dispatcher_pb2_grpc import DispatcherStub
from tests.e2e.workers.signals import mark, pass_gate, worker_name

ACTIONS = ["count:count", "pair:left", "pair:right", "held:held"]
AGAIN_SECONDS = 0.2
BEAT_SECONDS = 1.0
WORK_SECONDS = 0.02
AUTH = (("authorization", f"bearer {os.environ['HATCHET_CLIENT_TOKEN']}"),)


class SteadyWorker:
    def __init__(self, channel: grpc.aio.Channel, worker_id: str) -> None:
        self.stub: Any = DispatcherStub(channel)  # type: ignore[no-untyped-call]  # generated code
        self.id = worker_id
        self.running: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        await asyncio.gather(self.listen(), self.beat())

    async def beat(self) -> None:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self.stub.Heartbeat(
                    pb.HeartbeatRequest(worker_id=self.id), metadata=AUTH, timeout=5
                )
            await asyncio.sleep(BEAT_SECONDS)

    async def listen(self) -> None:
        while True:
            stream = self.stub.ListenV2(pb.WorkerListenRequest(worker_id=self.id), metadata=AUTH)
            try:
                async for action in stream:
                    if action.action_type == pb.START_STEP_RUN:
                        task = asyncio.create_task(self.execute(action))
                        self.running.add(task)
                        task.add_done_callback(self.running.discard)
            except grpc.aio.AioRpcError:
                pass
            await asyncio.sleep(AGAIN_SECONDS)

    async def execute(self, action: pb.AssignedAction) -> None:
        is_held = action.action_id == "held:held"
        attempt = f"{action.task_run_external_id} {action.retry_count}"
        mark("held" if is_held else "executed", attempt)
        await self.report(action, pb.STEP_EVENT_TYPE_STARTED, "")
        await (pass_gate("held") if is_held else asyncio.sleep(WORK_SECONDS))
        output = json.dumps(json.loads(action.action_payload)["input"])
        await self.report(action, pb.STEP_EVENT_TYPE_COMPLETED, output)

    async def report(self, action: pb.AssignedAction, kind: Any, payload: str) -> None:
        event = pb.StepActionEvent(
            worker_id=self.id,
            task_run_external_id=action.task_run_external_id,
            action_id=action.action_id,
            event_type=kind,
            event_payload=payload,
            retry_count=action.retry_count,
        )
        while True:
            try:
                await self.stub.SendStepActionEvent(event, metadata=AUTH, timeout=10)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return


async def serve(kind: type[SteadyWorker], actions: list[str], slot_config: dict[str, int]) -> None:
    options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.initial_reconnect_backoff_ms", 100)]
    async with grpc.aio.insecure_channel(os.environ["E2E_GRPC_ADDRESS"], options) as channel:
        stub: Any = DispatcherStub(channel)  # type: ignore[no-untyped-call]  # generated code
        registered = await stub.Register(
            pb.WorkerRegisterRequest(
                worker_name=worker_name(), actions=actions, slot_config=slot_config
            ),
            metadata=AUTH,
            wait_for_ready=True,
        )
        await kind(channel, registered.worker_id).work()


if __name__ == "__main__":
    asyncio.run(serve(SteadyWorker, ACTIONS, {"default": 20}))
