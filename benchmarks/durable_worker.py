"""A lean worker for durable tasks: each waits once, for an event or a sleep, and is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson

from benchmarks.wire import Count, LeanWorker, Target, stub
from engine.pb import dispatcher_pb2 as dispatcher
from engine.pb.v1 import dispatcher_pb2 as v1
from engine.pb.v1 import dispatcher_pb2_grpc as v1_grpc
from engine.pb.v1.shared import condition_pb2

Invocation = tuple[str, int]


class DurableWorker(LeanWorker):
    """Waits for `bench:<key of the input>`, or sleeps; with `evicts`, gives the slot back once."""

    def __init__(self, target: Target, *, evicts: bool, sleep: str = "") -> None:
        super().__init__(target)
        self._evicts, self._sleep = evicts, sleep
        self._durable = stub(v1_grpc.V1DispatcherStub, target.channel())
        self._requests: asyncio.Queue[v1.DurableTaskRequest] = asyncio.Queue()
        self._answers: dict[tuple[str, Invocation], asyncio.Future[Any]] = {}
        self.parked, self.resumed = Count(), Count()
        self.resume_delays: list[float] = []

    async def start_durable(self, workflow: str, slots: int) -> None:
        worker_id = await self.start({workflow: "durable"}, slots, "durable")
        self._requests.put_nowait(
            v1.DurableTaskRequest(
                register_worker=v1.DurableTaskRequestRegisterWorker(worker_id=worker_id)
            )
        )
        self._keep(self._converse())

    async def work(self, action: dispatcher.AssignedAction) -> bool:
        invocation = (action.task_run_external_id, action.durable_task_invocation_count)
        done = self._expect("done", invocation)
        acknowledged = self._expect("ack", invocation)
        self._requests.put_nowait(_wait_for(invocation, self._conditions(action)))
        await acknowledged
        self.parked.add_one()
        if self._evicts and action.durable_task_invocation_count == 1:
            evicted = self._expect("evicted", invocation)
            self._requests.put_nowait(_evict(invocation))
            await evicted
            return False
        payload = await done
        (met,) = orjson.loads(payload)["CREATE"].values()
        self.resume_delays.append(time.monotonic() - met[0].get("sent", 0.0))
        self.resumed.add_one()
        return True

    def _conditions(
        self, action: dispatcher.AssignedAction
    ) -> condition_pb2.DurableEventListenerConditions:
        base = condition_pb2.BaseMatchCondition(readable_data_key="met", or_group_id=str(uuid4()))
        if self._sleep:
            sleep = condition_pb2.SleepMatchCondition(base=base, sleep_for=self._sleep)
            return condition_pb2.DurableEventListenerConditions(sleep_conditions=[sleep])
        key = orjson.loads(action.action_payload)["input"]["key"]
        event = condition_pb2.UserEventMatchCondition(base=base, user_event_key=f"bench:{key}")
        return condition_pb2.DurableEventListenerConditions(user_event_conditions=[event])

    def _expect(self, what: str, invocation: Invocation) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[what, invocation] = answer
        return answer

    async def _converse(self) -> None:
        async for response in self._durable.DurableTask(self._sent(), metadata=self._metadata):
            kind = response.WhichOneof("message")
            message = getattr(response, kind)
            if kind == "wait_for_ack":
                self._answer("ack", _invocation(message.ref), None)
            elif kind == "entry_completed":
                self._answer("done", _invocation(message.ref), message.payload)
            elif kind == "eviction_ack":
                self._answer("evicted", _invocation(message), None)
            elif kind in ("error", "server_evict"):
                raise RuntimeError(f"a durable task was refused: {response}")

    async def _sent(self) -> AsyncIterator[v1.DurableTaskRequest]:
        while True:
            yield await self._requests.get()

    def _answer(self, what: str, invocation: Invocation, value: Any) -> None:
        answer = self._answers.pop((what, invocation), None)
        if answer is not None and not answer.done():
            answer.set_result(value)


def _invocation(named: Any) -> Invocation:
    return (named.durable_task_external_id, named.invocation_count)


def _wait_for(
    invocation: Invocation, conditions: condition_pb2.DurableEventListenerConditions
) -> v1.DurableTaskRequest:
    task_id, count = invocation
    return v1.DurableTaskRequest(
        wait_for=v1.DurableTaskWaitForRequest(
            invocation_count=count,
            durable_task_external_id=task_id,
            wait_for_conditions=conditions,
        )
    )


def _evict(invocation: Invocation) -> v1.DurableTaskRequest:
    task_id, count = invocation
    return v1.DurableTaskRequest(
        evict_invocation=v1.DurableTaskEvictInvocationRequest(
            invocation_count=count, durable_task_external_id=task_id
        )
    )
