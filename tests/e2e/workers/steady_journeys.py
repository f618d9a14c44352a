"""A worker without the SDK for the tasks of journeys.py: it keeps its side of the durable stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc.aio

from engine.pb import dispatcher_pb2 as pb
from engine.pb.v1 import dispatcher_pb2 as v1
from engine.pb.v1.dispatcher_pb2_grpc import V1DispatcherStub
from engine.pb.v1.shared import condition_pb2 as conditions
from engine.pb.v1.shared import trigger_pb2
from tests.e2e.workers.signals import mark
from tests.e2e.workers.steady import AGAIN_SECONDS, AUTH, SteadyWorker, serve

STATUS_SECONDS = 1.0
EVICTED_AFTER_SECONDS = 1.0

Delivery = tuple[str, int]
Place = tuple[Delivery, int, int]
"""(delivery, branch, node)."""


class Broken(Exception):
    """The stream broke before a call was acknowledged: the attempt fails, as with the SDK."""


class JourneyWorker(SteadyWorker):
    def __init__(self, channel: grpc.aio.Channel, worker_id: str) -> None:
        super().__init__(channel, worker_id)
        self.durable: Any = V1DispatcherStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.requests: asyncio.Queue[v1.DurableTaskRequest] = asyncio.Queue()
        self.answers: dict[tuple[str, Delivery], asyncio.Future[Any]] = {}
        self.waiting: dict[Place, asyncio.Future[Any]] = {}
        self.early: dict[Place, Any] = {}
        self.deliveries: dict[Delivery, asyncio.Task[None]] = {}

    async def work(self) -> None:
        await asyncio.gather(super().work(), self.converse(), self.say_what_is_awaited())

    # The stream

    async def converse(self) -> None:
        while True:
            self.requests = asyncio.Queue()
            registered = v1.DurableTaskRequestRegisterWorker(worker_id=self.id)
            self.requests.put_nowait(v1.DurableTaskRequest(register_worker=registered))
            self.name(list(self.waiting))
            with contextlib.suppress(grpc.aio.AioRpcError):
                stream = self.durable.DurableTask(self.sent(self.requests), metadata=AUTH)
                async for response in stream:
                    self.take(response)
            for answer in self.answers.values():
                if not answer.done():
                    answer.set_exception(Broken())
            self.answers.clear()
            await asyncio.sleep(AGAIN_SECONDS)

    async def sent(
        self, requests: asyncio.Queue[v1.DurableTaskRequest]
    ) -> AsyncIterator[v1.DurableTaskRequest]:
        while requests is self.requests:
            yield await requests.get()

    def take(self, response: v1.DurableTaskResponse) -> None:
        kind = response.WhichOneof("message")
        message = getattr(response, kind or "")
        if kind in ("memo_ack", "wait_for_ack"):
            self.answer("call", _delivery(message.ref), message)
        elif kind == "trigger_runs_ack":
            self.answer("call", _delivery(message), message.run_entries[0])
        elif kind == "eviction_ack":
            self.answer("evict", _delivery(message), message)
        elif kind == "error":
            mark("errors", message.error_message)
            self.answer("call", _delivery(message.ref), Broken())
        elif kind == "server_evict":
            self.drop(_delivery(message))
        elif kind == "entry_completed":
            ref = message.ref
            place = (_delivery(ref), ref.branch_id, ref.node_id)
            waiter = self.waiting.pop(place, None)
            if waiter is None:
                self.early[place] = message
            elif not waiter.done():
                waiter.set_result(message)

    def answer(self, what: str, delivery: Delivery, value: Any) -> None:
        answer = self.answers.pop((what, delivery), None)
        if answer is None or answer.done():
            return
        if isinstance(value, Exception):
            answer.set_exception(value)
        else:
            answer.set_result(value)

    async def ask(self, what: str, delivery: Delivery, request: v1.DurableTaskRequest) -> Any:
        answer = self.answers[what, delivery] = asyncio.get_running_loop().create_future()
        self.requests.put_nowait(request)
        return await answer

    async def wait(self, place: Place) -> dict[str, Any]:
        if place in self.early:
            found = self.early.pop(place)
        else:
            waiter = self.waiting[place] = asyncio.get_running_loop().create_future()
            self.name([place])
            found = await waiter
        if found.is_failure:
            raise RuntimeError(found.error_message)
        result: dict[str, Any] = json.loads(found.payload or b"{}")
        return result

    def name(self, places: list[Place]) -> None:
        entries = [
            v1.DurableTaskAwaitedCompletedEntry(
                durable_task_external_id=task_id,
                invocation_count=count,
                branch_id=branch,
                node_id=node,
            )
            for (task_id, count), branch, node in places
        ]
        if entries:
            status = v1.DurableTaskWorkerStatusRequest(worker_id=self.id, waiting_entries=entries)
            self.requests.put_nowait(v1.DurableTaskRequest(worker_status=status))

    async def say_what_is_awaited(self) -> None:
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            self.name(list(self.waiting))

    def drop(self, delivery: Delivery) -> None:
        """End a delivery without a report."""
        for place in [place for place in self.waiting if place[0] == delivery]:
            del self.waiting[place]
        if (task := self.deliveries.pop(delivery, None)) is not None:
            task.cancel()

    # Tasks

    async def execute(self, action: pb.AssignedAction) -> None:
        number = json.loads(action.action_payload)["input"]["number"]
        await self.report(action, pb.STEP_EVENT_TYPE_STARTED, "")
        if action.action_id.startswith("leaf"):
            await self.report(action, pb.STEP_EVENT_TYPE_COMPLETED, json.dumps({"number": number}))
            return
        delivery = action.task_run_external_id, action.durable_task_invocation_count
        if delivery in self.deliveries:
            return
        task = self.deliveries[delivery] = asyncio.create_task(self.journey(delivery, number))
        evicting = asyncio.create_task(self.evict(delivery)) if number % 2 else None
        await asyncio.wait([task])
        if evicting is not None:
            evicting.cancel()
        if task.cancelled():
            return
        self.deliveries.pop(delivery, None)
        if error := task.exception():
            await self.report(action, pb.STEP_EVENT_TYPE_FAILED, repr(error))
        else:
            await self.report(action, pb.STEP_EVENT_TYPE_COMPLETED, json.dumps(task.result()))

    async def journey(self, delivery: Delivery, number: int) -> Any:
        task_id, count = delivery
        named: dict[str, Any] = {"durable_task_external_id": task_id, "invocation_count": count}
        memo = v1.DurableTaskMemoRequest(key=b"toss", **named)
        found = await self.ask("call", delivery, v1.DurableTaskRequest(memo=memo))
        if found.memo_already_existed and found.memo_result_payload:
            token = json.loads(found.memo_result_payload)["token"]
        else:
            token = str(uuid4())
            mark("tossed", str(number))
            kept = json.dumps({"token": token}).encode()
            done = v1.DurableTaskCompleteMemoRequest(ref=found.ref, payload=kept, memo_key=b"toss")
            self.requests.put_nowait(v1.DurableTaskRequest(complete_memo=done))
        base = conditions.BaseMatchCondition(readable_data_key="met", or_group_id=str(uuid4()))
        sleep = conditions.SleepMatchCondition(base=base, sleep_for=f"{1 + number % 3}s")
        await self.wait_for(delivery, sleep_conditions=[sleep])
        child = trigger_pb2.TriggerWorkflowRequest(
            name="leaf", input=json.dumps({"number": number}), child_index=0
        )
        spawn = v1.DurableTaskTriggerRunsRequest(trigger_opts=[child], **named)
        entry = await self.ask("call", delivery, v1.DurableTaskRequest(trigger_runs=spawn))
        leaf = await self.wait((delivery, entry.branch_id, entry.node_id))
        event = conditions.UserEventMatchCondition(base=base, user_event_key="go")
        met = await self.wait_for(delivery, user_event_conditions=[event])
        (came,) = met["CREATE"]["met"]
        return {"token": token, "child": leaf["number"], "event": came["number"]}

    async def wait_for(self, delivery: Delivery, **listed: Any) -> dict[str, Any]:
        task_id, count = delivery
        wait = v1.DurableTaskWaitForRequest(
            durable_task_external_id=task_id,
            invocation_count=count,
            wait_for_conditions=conditions.DurableEventListenerConditions(**listed),
        )
        ack = await self.ask("call", delivery, v1.DurableTaskRequest(wait_for=wait))
        return await self.wait((delivery, ack.ref.branch_id, ack.ref.node_id))

    async def evict(self, delivery: Delivery) -> None:
        """Give the delivery up as soon as it has waited for a while."""
        task_id, count = delivery
        while True:
            await asyncio.sleep(EVICTED_AFTER_SECONDS)
            if any(place[0] == delivery for place in self.waiting):
                evict = v1.DurableTaskEvictInvocationRequest(
                    durable_task_external_id=task_id, invocation_count=count
                )
                request = v1.DurableTaskRequest(evict_invocation=evict)
                with contextlib.suppress(Broken):
                    await self.ask("evict", delivery, request)
                    self.drop(delivery)
                    return


def _delivery(named: Any) -> Delivery:
    return named.durable_task_external_id, named.invocation_count


if __name__ == "__main__":
    asyncio.run(
        serve(JourneyWorker, ["journey:journey", "leaf:leaf"], {"default": 50, "durable": 600})
    )
