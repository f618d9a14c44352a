"""Workers: processes that run the programs of durable tasks, evict those that only wait, and die."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import orjson

from engine.domain.durable.calls import (
    MemoAnswer,
    MemoCall,
    MemoResult,
    Node,
    SpawnAnswer,
    SpawnCall,
    WaitAnswer,
    WaitCall,
    WaitCondition,
)
from engine.states import ConditionKind
from engine.types import Action, ActionKind, ReportKind, TaskReport, TriggerRequest
from tests.simulation.client import RECONNECT_SECONDS, Delivery, Disconnected, Inbox, Listener
from tests.simulation.programs import Child, Step, execute, key_of, result_of
from tests.simulation.wire import Wire

if TYPE_CHECKING:
    from tests.simulation.world import World


class Invocation:
    """One delivery of a durable task, and the calls its program makes."""

    def __init__(self, worker: Worker, action: Action) -> None:
        assert action.durable_invocation is not None
        self.worker, self.world, self.listener = worker, worker.world, worker.listener
        self.action = action
        self.delivery: Delivery = (action.task_id, action.durable_invocation)
        self._turn = asyncio.Lock()
        self.waits = 0
        self.waiting_since = 0.0
        self._spawned = 0

    async def _call(self, body: MemoCall | SpawnCall | WaitCall) -> Any:
        async with self._turn:
            self.world.note("call", self.delivery, body)
            return (await self.listener.call(self.delivery, body)).body

    async def _wait(self, node: Node) -> Any:
        if not self.waits:
            self.waiting_since = self.world.loop.time()
        self.waits += 1
        try:
            reply = await self.listener.wait(self.delivery, node)
        finally:
            self.waits -= 1
        completion = reply.completion
        if completion.error is not None:
            return {"error": completion.error}
        return orjson.loads(completion.payload or b"{}")

    async def memo(self, point: str, seconds: float) -> Any:
        asked_at = self.world.loop.today
        answer = await self._call(MemoCall(point.encode()))
        assert isinstance(answer, MemoAnswer)
        self.listener.expect(self.delivery, answer.node)
        if answer.existed and answer.payload:
            return orjson.loads(answer.payload)
        self.world.check_recomputed(self.delivery, answer.node, asked_at)
        await asyncio.sleep(seconds)
        value = self.world.effect(point)
        self.listener.tell(self.delivery, MemoResult(answer.node, orjson.dumps(value)))
        return value

    async def sleep(self, seconds: int) -> Any:
        return await self._wait_for((_sleep(seconds, self._group(0)),))

    async def wait(self, step: Step, since: float | None) -> Any:
        conditions: tuple[WaitCondition, ...] = (self._event(step, since),)
        if step.kind != "event":
            group = conditions[0].group if step.kind == "any" else self._group(1)
            conditions = (_sleep(step.seconds, group), *conditions)
        return await self._wait_for(conditions)

    async def _wait_for(self, conditions: tuple[WaitCondition, ...]) -> Any:
        answer = await self._call(WaitCall(conditions))
        assert isinstance(answer, WaitAnswer)
        return await self._wait(answer.node)

    def _event(self, step: Step, since: float | None) -> WaitCondition:
        return WaitCondition(
            ConditionKind.EVENT,
            self._group(0),
            key_of(step),
            key_of(step),
            "input.is_right" if "filter" in step.options else "",
            step.point if "scope" in step.options else None,
            None if since is None else self.world.moment(since),
        )

    def _group(self, number: int) -> UUID:
        """Groups have random ids: another invocation has others."""
        return uuid5(self.action.task_id, f"{self.delivery[1]}.{number}")

    async def spawn(self, children: Sequence[Child]) -> list[Any]:
        requests = []
        for child in children:
            name = "durable" if child.is_durable else "child"
            request = TriggerRequest(
                name, child.input, child_index=self._spawned, child_key=child.key
            )
            requests.append(request)
            self._spawned += 1
        answer = await self._call(SpawnCall(tuple(requests)))
        assert isinstance(answer, SpawnAnswer)
        return [node for node, _ in answer.children]

    async def result(self, spawned: Node) -> Any:
        return await self._wait(spawned)


def _sleep(seconds: int, group: UUID) -> WaitCondition:
    return WaitCondition(ConditionKind.SLEEP, group, f"{seconds}s", f"sleep:{seconds}s")


class Worker:
    def __init__(self, world: World, worker_id: UUID, dice: random.Random, *, is_old: bool) -> None:
        self.world, self.id, self.dice = world, worker_id, dice
        self.is_alive = True
        self.listener = Listener(world, worker_id, dice, is_old=is_old)
        self.running: dict[tuple[UUID, int, int], Invocation] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._of: dict[Invocation, asyncio.Task[None]] = {}
        self._spawn(self.listener.repeat())
        self._spawn(self._stay_connected())
        self._spawn(self._evict_now_and_then())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            self.world.failed("a worker", error)

    def kill(self) -> None:
        self.is_alive = False
        self.world.note("worker dies", self.id)
        for task in list(self._tasks):
            task.cancel()
        if self.listener.wire is not None:
            self.listener.wire.snap()
        self.running.clear()

    async def _stay_connected(self) -> None:
        while True:
            if self.listener.wire is None:
                engine = self.world.pick_engine()
                if engine is not None:
                    self.listener.connected(Wire(self.listener, engine, self.dice))
                    await self.listener.lost.wait()
            await asyncio.sleep(RECONNECT_SECONDS)

    # Tasks

    def take(self, action: Action) -> None:
        if action.kind is ActionKind.CANCEL:
            self.cancel((action.task_id, action.retry_count, action.durable_invocation or 0))
        elif action.durable_invocation is None:
            self._spawn(self._run_child(action))
        else:
            key = action.task_id, action.retry_count, action.durable_invocation
            if key not in self.running:
                invocation = self.running[key] = Invocation(self, action)
                self._of[invocation] = self._spawn(self._run(key, invocation))

    def cancel(self, key: tuple[UUID, int, int]) -> None:
        """End a delivery without a report."""
        invocation = self.running.pop(key, None)
        if invocation is not None:
            self._of.pop(invocation).cancel()

    def cancel_delivery(self, delivery: Delivery) -> None:
        for key in [key for key in self.running if (key[0], key[2]) == delivery]:
            self.cancel(key)

    async def _run(self, key: tuple[UUID, int, int], invocation: Invocation) -> None:
        action = invocation.action
        self.world.note("runs", self.id, invocation.delivery)
        self._report(action, ReportKind.STARTED)
        try:
            value = await execute(self.world.program_of(action), invocation)
        except (Disconnected, TimeoutError):
            self._report(action, ReportKind.FAILED, b"a call was not acknowledged")
        else:
            if self.running.get(key) is invocation:
                inbox = self.listener.inboxes.get(invocation.delivery, Inbox())
                if not self.listener.is_old:  # which keeps what nobody waits for apart
                    self.world.check_left_over(invocation.delivery, inbox)
                self._report(action, ReportKind.COMPLETED, orjson.dumps({"result": value}))
        if self.running.pop(key, None) is not None:
            del self._of[invocation]

    async def _run_child(self, action: Action) -> None:
        self._report(action, ReportKind.STARTED)
        given = self.world.input_of(action.task_id)
        await asyncio.sleep(given["seconds"])
        result = result_of(given["name"], fails=given["fails"])
        if given["fails"]:
            self._report(action, ReportKind.FAILED, result["error"].encode())
        else:
            self._report(action, ReportKind.COMPLETED, orjson.dumps(result))

    def _report(self, action: Action, kind: ReportKind, payload: bytes = b"") -> None:
        report = TaskReport(self.world.tenant_id, action.task_id, kind, action.retry_count, payload)
        self.world.note("report", kind.name, action.task_id, action.durable_invocation)
        self._spawn(self.world.report(report, self.dice))

    # Evictions

    async def _evict_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self.world.look_seconds)
            for key, invocation in list(self.running.items()):
                waited = self.world.loop.time() - invocation.waiting_since
                is_due = invocation.waits and waited >= self.world.eviction_seconds
                if is_due and self.listener.wire is not None:
                    await self._evict(key, invocation)

    async def _evict(self, key: tuple[UUID, int, int], invocation: Invocation) -> None:
        self.world.note("evicts", invocation.delivery)
        try:
            await self.listener.evict(invocation.delivery)
        except (Disconnected, TimeoutError):
            return
        self.world.note("evicted", invocation.delivery)
        if self.running.get(key) is invocation and not invocation.waits:
            self.world.check_evicted(invocation.action)
        self.cancel(key)
        self.listener.forget(*invocation.delivery)
