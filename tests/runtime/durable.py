"""Workers with durable tasks, and what they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.domain.durable.calls import (
    Call,
    Node,
    SpawnAnswer,
    SpawnCall,
    WaitAnswer,
    WaitCall,
    WaitCondition,
)
from engine.ids import new_id
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.replies import (
    Acknowledged,
    EvictionTaken,
    Registered,
    Reply,
)
from engine.runtime.durable.stream import DurableStream
from engine.runtime.engine import HatchetEngine
from engine.states import ConditionKind, TaskEventKind
from engine.types import (
    Action,
    EventInput,
    ReportKind,
    TriggerRequest,
    WorkerRegistration,
)
from tests.runtime.harness import (
    PATIENCE_SECONDS,
    FakeWorker,
    trigger,
    workflow,
)

LONG = WorkflowDefinition(
    "work", (StepDefinition("run", "work:run", is_durable=True, slots={"durable": 1}),)
)
ONE, TWO = Node(1, 1), Node(1, 2)


class Worker:
    """A worker with durable slots: its actions, and its durable stream."""

    def __init__(self, engine: HatchetEngine, tenant_id: UUID, worker: FakeWorker) -> None:
        self.engine, self.tenant_id, self.worker = engine, tenant_id, worker
        self.reconnect()

    @classmethod
    async def connect(cls, engine: HatchetEngine, tenant_id: UUID, slots: int = 10) -> Worker:
        registration = WorkerRegistration(
            "durable", ("work:run", "child:run"), {"durable": slots, "default": 10}, {}
        )
        worker_id = await engine.register_worker(tenant_id, registration)
        worker = await FakeWorker.connect(engine, tenant_id, worker_id=worker_id)
        return cls(engine, tenant_id, worker)

    def reconnect(self) -> None:
        """Open a new durable stream; the old one may be open still."""
        self.stream: DurableStream = self.engine.durable.open_stream(self.tenant_id)
        self._replies = aiter(self.stream)

    async def start(self) -> Action:
        action = await self.worker.next_start()
        await self.worker.report(action, ReportKind.STARTED)
        return action

    async def call(self, action: Action, body: Any, invocation: int | None = None) -> None:
        count = invocation or action.durable_invocation or 0
        await self.stream.take(Call(self.tenant_id, action.task_id, count, body))

    async def wait(self, action: Action, *conditions: WaitCondition) -> Node:
        """Wait for something and return where."""
        await self.call(action, WaitCall(conditions))
        told = await self.told(Acknowledged)
        assert isinstance(told.body, WaitAnswer)
        return told.body.node

    async def spawn(self, action: Action, *names: str) -> list[tuple[Node, UUID]]:
        children = tuple(
            TriggerRequest(name, child_index=number) for number, name in enumerate(names)
        )
        await self.call(action, SpawnCall(children))
        told = await self.told(Acknowledged)
        assert isinstance(told.body, SpawnAnswer)
        return list(told.body.children)

    async def say_waiting(
        self, action: Action, nodes: Sequence[Node], received: int | None = None
    ) -> None:
        key = action.task_id, action.durable_invocation or 0
        entries = [(*key, node) for node in nodes]
        await self.stream.take_status(entries, {} if received is None else {key: received})

    async def evict(self, action: Action) -> None:
        await self.stream.take(Evict(action.task_id, action.durable_invocation or 0, "full"))
        assert await self.told(EvictionTaken) == (action.task_id, action.durable_invocation)

    async def told(self, kind: type[Any]) -> Any:
        """The next reply, which must be of this kind."""
        reply = await self.next()
        assert isinstance(reply, kind), reply
        return reply

    async def next(self) -> Reply:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await anext(self._replies)

    async def told_nothing(self) -> None:
        """Everything the stream was asked so far is answered, and nothing else was said."""
        self.stream.register("mark")
        assert await self.next() == Registered("mark")


def event(key: str) -> WaitCondition:
    return WaitCondition(ConditionKind.EVENT, new_id(), key, key)


def sleep(text: str) -> WaitCondition:
    return WaitCondition(ConditionKind.SLEEP, new_id(), text, f"sleep:{text}")


async def history(conninfo: str, action: Action) -> list[TaskEventKind]:
    sql = "SELECT kind FROM engine_taskevent WHERE run_id = %s ORDER BY at, id"
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        rows = await (await connection.execute(sql, [action.run_id])).fetchall()
    return [TaskEventKind(kind) for (kind,) in rows]


async def begin(engine: HatchetEngine, tenant_id: UUID, slots: int = 10) -> tuple[Worker, Action]:
    """A durable task that runs on a worker."""
    await engine.put_workflow(tenant_id, LONG)
    await engine.put_workflow(tenant_id, workflow("child"))
    worker = await Worker.connect(engine, tenant_id, slots)
    await trigger(engine, tenant_id)
    return worker, await worker.start()


async def push(engine: HatchetEngine, tenant_id: UUID, key: str) -> None:
    await engine.push_events(tenant_id, [EventInput(key, b'{"a":1}')])
