"""The durable tasks of one run, for its page: where each stands, and the log of the one that is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict

from dashboard.durable_steps import steps_of
from engine.domain.definition import WorkflowDefinition
from engine.domain.durable.calls import Node
from engine.models import DurableTask, DurableWait, Task
from engine.models.durable_queries import durable_tasks, next_wake_ups
from engine.states import Status

EVICTED_SHOWN = 20
_LARGEST = 2**63 - 1


@dataclass(slots=True)
class DurableTasks:
    """`logs` and `wake_ups`, by task, are there for tasks that have run, and for those that sleep evicted.

    The run `is_evicted` if all its unfinished tasks, durable or not, wait without a worker.
    """

    tasks: list[Task]
    is_evicted: bool = False
    logs: dict[UUID, DurableTask] = field(default_factory=dict)
    wake_ups: dict[UUID, DurableWait] = field(default_factory=dict)

    @property
    def evicted(self) -> list[tuple[Task, DurableWait | None]]:
        """The tasks that wait without a worker, each with the sleep that ends first."""
        away = [task for task in self.tasks if task.is_off_worker][:EVICTED_SHOWN]
        return [(task, self.wake_ups.get(task.id)) for task in away]

    @property
    def invocations(self) -> int:
        return sum(log.invocation_count for log in self.logs.values())


def durable_tasks_of(
    tenant_id: UUID, definition: WorkflowDefinition | None, tasks: Sequence[Task]
) -> DurableTasks:
    """Pick the durable ones of a run's tasks; a run without any costs no query."""
    steps = definition.steps if definition else ()
    names = {step.readable_id for step in steps if step.is_durable}
    durable = [task for task in tasks if getattr(task, "readable_id", "") in names]
    if not durable:
        return DurableTasks([])
    logs = {log.task_id: log for log in durable_tasks(tenant_id, [task.id for task in durable])}
    evicted = [task.id for task in durable if task.is_off_worker]
    is_evicted = all(task.is_off_worker for task in tasks if not Status(task.status).is_final)
    return DurableTasks(
        durable,
        is_evicted=bool(evicted) and is_evicted,
        logs=logs,
        wake_ups=next_wake_ups(evicted) if evicted else {},
    )


def durable_context(durable: DurableTasks, query: QueryDict) -> dict[str, Any]:
    """The log of the task that the query string names, else of the first one that has a log."""
    wanted = query.get("task", "")
    begun = [task for task in durable.tasks if task.id in durable.logs]
    task = next((task for task in durable.tasks if str(task.id) == wanted), None)
    task = task or next(iter(begun or durable.tasks))
    log = durable.logs.get(task.id)
    before = parse_node(query.get("before", ""))
    pairs = [("task", str(task.id))] if len(durable.tasks) > 1 else []
    steps = steps_of(task, log, before=before) if log else None
    return {
        "durable_task": task,
        "durable_log": log,
        "steps": steps,
        "durable_query": urlencode(pairs),
        "earlier_query": urlencode(pairs + _place(steps.earlier if steps else None)),
        "live_query": urlencode(pairs + _place(before)),
        "before": before,
    }


def _place(before: Node | None) -> list[tuple[str, str]]:
    return [("before", f"{before.branch_id}.{before.node_id}")] if before else []


def parse_node(text: str) -> Node | None:
    """Read a place in a log, `branch.node`."""
    branch, dot, node = text[:40].partition(".")
    try:
        found = Node(int(branch), int(node))
    except ValueError:
        return None
    return found if dot and min(found) > 0 and max(found) <= _LARGEST else None
