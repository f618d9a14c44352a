"""Everything that may happen to durable tasks, at once and on many connections: nothing is lost or stuck."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest

from engine.domain.assignment import ReadyTask
from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.domain.durable.calls import (
    Call,
    CallBody,
    Completion,
    MemoCall,
    Node,
    SpawnAnswer,
    SpawnCall,
    WaitAnswer,
    WaitCall,
    WaitCondition,
)
from engine.errors import HatchetError
from engine.ids import new_id
from engine.operations.assign_tasks import assign_tasks
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.durable.await_nodes import Waiting, await_nodes
from engine.operations.durable.branch_tasks import branch_task
from engine.operations.durable.evict_tasks import Eviction, evict_tasks, restore_tasks
from engine.operations.durable.record_calls import record_calls
from engine.operations.durable.satisfy_entries import complete_children, expire_durable_sleeps
from engine.operations.push_events import push_events
from engine.operations.put_workflow import put_workflow
from engine.operations.replay_tasks import replay_tasks
from engine.operations.report_tasks import report_tasks
from engine.operations.trigger_runs import trigger_runs
from engine.states import ConditionKind
from engine.store.async_db import AsyncDatabase
from engine.store.changes import Changes
from engine.types import EventInput, ReportKind, TaskReport, TriggerRequest

Result = TypeVar("Result")

TASKS, ACTORS, STEPS = 10, 8, 60
EVENTS = ("a", "b", "c")


class Storm:
    """Clients, workers, a scheduler and a clock, all of them hasty."""

    def __init__(self, database: AsyncDatabase, tenant_id: UUID, seed: int) -> None:
        self.database, self.tenant_id = database, tenant_id
        self.random = random.Random(seed)
        self.ready: dict[UUID, ReadyTask] = {}
        self.invocations: dict[UUID, int] = {}
        self.waiting: dict[tuple[UUID, int], set[Node]] = defaultdict(set)
        """What each invocation waits for, as its worker knows."""
        self.tasks: list[UUID] = []
        self.tally: Counter[str] = Counter()

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def begin(self) -> None:
        for name, is_durable in (("work", True), ("child", False)):
            step = StepDefinition("run", f"{name}:run", is_durable=is_durable)
            definition = WorkflowDefinition(name, (step,))
            await self.database.run(put_workflow(self.tenant_id, definition, self.now))
        requests = [TriggerRequest("work")] * TASKS
        self.tasks = await self.database.run(trigger_runs(self.tenant_id, requests, self.now))

    def learn(self, changes: Changes) -> None:
        self.ready |= {task.id: task for _, task in changes.ready}
        for _, told in changes.completions:
            self.waiting[told.task_id, told.invocation].discard(told.node)

    async def act(self) -> None:
        verbs = {
            self.assign: 30,
            self.wait: 25,
            self.spawn: 8,
            self.listen: 15,
            self.evict: 25,
            self.push: 15,
            self.tick: 10,
            self.finish_child: 12,
            self.restore: 3,
            self.reset: 4,
            self.cancel: 2,
            self.replay: 6,
        }
        for _ in range(STEPS):
            (verb,) = self.random.choices(list(verbs), list(verbs.values()))
            try:
                await verb()
            except HatchetError:
                self.tally["refused"] += 1
            self.tally[verb.__name__] += 1

    def pick(self) -> tuple[UUID, int]:
        task_id = self.random.choice(self.tasks)
        return task_id, self.invocations.get(task_id, 1)

    async def call(self, task_id: UUID, invocation: int, body: CallBody) -> Any:
        call = Call(self.tenant_id, task_id, invocation, body)
        (answer,) = await self.database.run(record_calls([call], self.now))
        return answer

    # What may happen

    async def assign(self) -> None:
        if self.ready:
            task = self.ready.pop(self.random.choice(list(self.ready)))
            assigned = await self.database.run(assign_tasks([(task, new_id())], {}, self.now))
            for _, action in assigned:
                if action.durable_invocation:
                    self.invocations[action.task_id] = action.durable_invocation
                elif action.task_id not in self.tasks:
                    await self.complete(action.task_id)

    async def complete(self, task_id: UUID) -> None:
        report = TaskReport(self.tenant_id, task_id, ReportKind.COMPLETED, payload=b"{}")
        assert not await self.database.run(report_tasks([report], self.now))

    async def wait(self) -> None:
        task_id, invocation = self.pick()
        group = uuid4()
        conditions = [
            WaitCondition(ConditionKind.EVENT, group, self.random.choice(EVENTS), "e"),
            WaitCondition(
                ConditionKind.SLEEP,
                self.random.choice([group, uuid4()]),
                self.random.choice(["1ms", "20ms", "1h"]),
                "s",
            ),
        ]
        size = self.random.randint(1, 2)
        # With a window, the registration takes the lock that events of the scope take, too.
        if self.random.random() < 0.3:
            since = self.now - timedelta(milliseconds=5)
            conditions[0] = conditions[0]._replace(scope="x", since=since)
        answer = await self.call(task_id, invocation, WaitCall(tuple(conditions[:size])))
        if isinstance(answer.body, WaitAnswer) and not answer.completions:
            self.waiting[task_id, invocation].add(answer.body.node)

    async def spawn(self) -> None:
        task_id, invocation = self.pick()
        await self.call(task_id, invocation, MemoCall(b"k"))
        children = tuple(TriggerRequest("child", child_key=k) for k in self.random.sample("pqr", 2))
        answer = await self.call(task_id, invocation, SpawnCall(children))
        if isinstance(answer.body, SpawnAnswer):
            node = answer.body.children[0][0]
            self.waiting[task_id, invocation].add(node)
            await self.listen_to(task_id, invocation, [node])

    async def listen(self) -> None:
        task_id, invocation = self.pick()
        await self.listen_to(task_id, invocation, list(self.waiting[task_id, invocation]))

    async def listen_to(self, task_id: UUID, invocation: int, nodes: list[Node]) -> None:
        waiting = [Waiting(self.tenant_id, task_id, invocation, node) for node in nodes]
        for found in await self.database.run(await_nodes(waiting, self.now)):
            if isinstance(found, Completion):
                self.waiting[task_id, invocation].discard(found.node)

    async def evict(self) -> None:
        task_id, invocation = self.pick()
        if nodes := self.waiting[task_id, invocation]:
            item = Eviction(self.tenant_id, task_id, invocation, "", tuple(nodes))
            await self.database.run(evict_tasks([item], self.now))

    async def push(self) -> None:
        events = [EventInput(key, scope="x") for key in self.random.sample(EVENTS, 2)]
        await self.database.run(push_events(self.tenant_id, events, self.now))

    async def tick(self) -> None:
        await self.database.run(expire_durable_sleeps([self.tenant_id], self.now))

    async def finish_child(self) -> None:
        await self.database.run(complete_children([self.tenant_id], self.now))

    async def restore(self) -> None:
        await self.database.run(
            restore_tasks(self.tenant_id, self.random.sample(self.tasks, 3), self.now)
        )

    async def reset(self) -> None:
        task_id, _ = self.pick()
        node, branch = self.random.randint(1, 4), self.random.randint(1, 3)
        await self.database.run(branch_task(self.tenant_id, task_id, node, branch, self.now))

    async def cancel(self) -> None:
        await self.database.run(cancel_tasks(self.tenant_id, [self.pick()[0]], self.now))

    async def replay(self) -> None:
        await self.database.run(
            replay_tasks(self.tenant_id, self.random.sample(self.tasks, 4), self.now)
        )

    # The end

    async def settle(self) -> None:
        """Let everything that is waited for come."""
        while self.ready:
            await self.assign()
        await self.finish_child()
        events = [EventInput(key, scope="x") for key in EVENTS]
        await self.database.run(push_events(self.tenant_id, events, self.now))
        late = self.now + timedelta(hours=2)
        await self.database.run(expire_durable_sleeps([self.tenant_id], late))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_wake_up_is_lost_whatever_happens_at_once(
    conninfo: str, tenant_id: UUID, seed: int
) -> None:
    database = AsyncDatabase(
        conninfo,
        max_size=ACTORS,
        on_committed=lambda changes: storm.learn(changes),  # noqa: PLW0108  # made below
    )
    storm = Storm(database, tenant_id, seed)
    await database.open()
    try:
        await storm.begin()
        async with asyncio.TaskGroup() as actors:
            for _ in range(ACTORS):
                actors.create_task(storm.act())
        assert min(storm.tally[verb] for verb in ("wait", "evict", "push", "replay")) > 0
        await storm.settle()
        await check(conninfo, storm)
    finally:
        await database.close()


async def check(conninfo: str, storm: Storm) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:

        async def rows(query: str) -> list[Any]:
            return await (await connection.execute(query, [storm.tasks])).fetchall()

        evicted = await rows(
            "SELECT id FROM engine_task WHERE id = ANY(%s) AND status = 1 AND is_evicted"
        )
        assert evicted == []
        repeated = await rows(
            "SELECT task_id, dedupe_key, branch_id FROM engine_durableentry WHERE task_id = ANY(%s)"
            " AND kind = 1 AND dedupe_key IS NOT NULL GROUP BY 1, 2, 3 HAVING count(*) > 1"
        )
        assert repeated == []
        orphans = await rows(
            "SELECT w.* FROM engine_durablewait w LEFT JOIN engine_durableentry e"
            " USING (task_id, branch_id, node_id)"
            " WHERE w.task_id = ANY(%s) AND (e.task_id IS NULL OR e.satisfied_at IS NOT NULL)"
        )
        assert orphans == []
        unforked = await rows(
            "SELECT d.task_id, d.satisfied_order, count(e.satisfied_order),"
            " count(DISTINCT e.satisfied_order), coalesce(max(e.satisfied_order), 0)"
            " FROM engine_durabletask d LEFT JOIN engine_durableentry e USING (task_id)"
            " WHERE d.task_id = ANY(%s) AND d.forks IS NULL GROUP BY 1, 2"
        )
        for _, last, count, distinct, highest in unforked:
            assert last == count == distinct == highest
