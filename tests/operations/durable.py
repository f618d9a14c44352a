"""Durable tasks moved on by operations alone: the test makes their calls, and time is given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson

from engine.domain.definition import StepDefinition, WorkflowDefinition
from engine.domain.durable.calls import (
    Answer,
    AnswerBody,
    Call,
    CallBody,
    Completion,
    MemoCall,
    MemoResult,
    Node,
    SpawnAnswer,
    SpawnCall,
    Stale,
    WaitAnswer,
    WaitCall,
    WaitCondition,
)
from engine.models import DurableEntry, Task
from engine.operations.durable.await_nodes import Waiting, await_nodes
from engine.operations.durable.branch_tasks import branch_task
from engine.operations.durable.evict_tasks import Evicted, Eviction, evict_tasks, restore_tasks
from engine.operations.durable.record_calls import record_calls
from engine.operations.durable.satisfy_entries import complete_children, expire_durable_sleeps
from engine.operations.push_events import push_events
from engine.states import ConditionKind
from engine.store.changes import Changes
from engine.types import Action, EventInput, EventRecord, TriggerRequest
from tests.operations.flow import Flow

DURABLE = StepDefinition("work", "flow:work", is_durable=True, slots={"durable": 1})


def sleep(text: str = "10s", key: str | None = None, group: UUID | None = None) -> WaitCondition:
    return WaitCondition(ConditionKind.SLEEP, group or uuid4(), text, key or f"sleep:{text}")


def event(key: str, **options: Any) -> WaitCondition:
    known: dict[str, Any] = {"group": uuid4(), "data_key": key} | options
    return WaitCondition(ConditionKind.EVENT, source=key, **known)


def child(name: str = "child", **options: Any) -> TriggerRequest:
    return TriggerRequest(name, **options)


class DurableFlow(Flow):
    """One durable task, whose calls the test makes; `told` are completions after commits."""

    def __init__(self, *steps: StepDefinition) -> None:
        self.told: list[Completion] = []
        super().__init__(*(steps or (DURABLE,)))
        self.child_version = self.put(
            WorkflowDefinition("child", (StepDefinition("step", "child:step"),))
        )
        self.task_id = self.trigger()
        self.invocation = 0
        self.assign()

    # LostWorkers

    def assign(self, name: str = "work") -> Action:
        """Let the scheduler hand the queued task out; it begins its next invocation."""
        self.start(name)
        action = self.running[name]
        assert action.durable_invocation is not None
        self.invocation = action.durable_invocation
        return action

    def evict(self, *unconfirmed: Node, knows: bool = True) -> Evicted:
        item = Eviction(
            self.tenant_id,
            self.task_id,
            self.invocation,
            "waits",
            unconfirmed if knows else None,
        )
        (outcome,) = self.do(evict_tasks([item], self.now))
        return outcome

    def restore(self) -> list[UUID]:
        return self.do(restore_tasks(self.tenant_id, [self.task_id], self.now))

    def branch(self, node_id: int, branch_id: int = 1) -> int:
        return self.do(branch_task(self.tenant_id, self.task_id, node_id, branch_id, self.now))

    @property
    def task(self) -> Task:
        return Task.objects.get(id=self.task_id)

    # Calls

    def record(self, *bodies: CallBody, invocation: int | None = None) -> list[Answer]:
        calls = [
            Call(self.tenant_id, self.task_id, invocation or self.invocation, body)
            for body in bodies
        ]
        return self.do(record_calls(calls, self.now))

    def call(self, body: CallBody, **options: Any) -> AnswerBody:
        (answer,) = self.record(body, **options)
        return answer.body

    def wait(self, *conditions: WaitCondition) -> Node:
        body = self.call(WaitCall(conditions))
        assert isinstance(body, WaitAnswer)
        return body.node

    def spawn(self, *children: TriggerRequest) -> list[tuple[Node, UUID]]:
        body = self.call(SpawnCall(children))
        assert isinstance(body, SpawnAnswer)
        return list(body.children)

    def memo(self, key: bytes = b"key") -> AnswerBody:
        return self.call(MemoCall(key))

    def keep(self, node: Node, payload: bytes) -> AnswerBody:
        return self.call(MemoResult(node, payload))

    def await_(
        self, *nodes: Node, invocation: int | None = None
    ) -> list[Completion | Stale | None]:
        waiting = [
            Waiting(self.tenant_id, self.task_id, invocation or self.invocation, node)
            for node in nodes
        ]
        return self.do(await_nodes(waiting, self.now))

    # What happens meanwhile

    def pass_time(self, seconds: float) -> None:
        """Let time pass and the clock tick for durable sleeps."""
        self.now += timedelta(seconds=seconds)
        self.do(expire_durable_sleeps([self.tenant_id], self.now))

    def push_event(self, key: str, scope: str | None = None, **payload: Any) -> list[EventRecord]:
        events = [EventInput(key, orjson.dumps(payload), scope=scope)]
        return self.do(push_events(self.tenant_id, events, self.now))

    def settle_children(self) -> int:
        return self.do(complete_children([self.tenant_id], self.now))

    def entries(self) -> list[DurableEntry]:
        found = DurableEntry.objects.filter(task_id=self.task_id)
        return list(found.order_by("branch_id", "node_id"))

    def _apply(self, changes: Changes) -> None:
        self.told += [completion for _, completion in changes.completions]
        names = {step.id: step.definition.readable_id for step in self.version.steps}
        if hasattr(self, "child_version"):
            names |= {s.id: s.definition.readable_id for s in self.child_version.steps}
        for _, task in changes.ready:
            self.queue[names.get(task.step_id, str(task.id))] = task
        for run in changes.finished:
            self.finished[run.run_id] = run.status
        self.changes = changes
