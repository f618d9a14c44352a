"""What waiting steps are judged by, and the rows with which they start to wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from engine.domain import conditions
from engine.domain.cel.answers import asking_for
from engine.domain.definition import RegisteredStep, RegisteredVersion, StepDefinition
from engine.domain.plan_run import Evidence
from engine.states import ConditionKind, Status
from engine.store import step_waits, tasks
from engine.store.query import Operation, Query, fetch_all
from engine.store.runs import LockedRun
from engine.store.step_waits import NewWait
from engine.store.tasks import NewTask, TaskRow


@lru_cache(maxsize=10_000)
def waiting_steps(version: RegisteredVersion) -> frozenset[UUID]:
    """Return the steps that may wait for sleeps or events."""
    return frozenset(step.id for step in version.steps if waits(step.definition))


def waits(step: StepDefinition) -> bool:
    return any(condition.kind is not ConditionKind.PARENT for condition in step.conditions)


@lru_cache(maxsize=10_000)
def reads_outputs(version: RegisteredVersion) -> bool:
    """Say whether an expression on a parent's output decides about a step."""
    return any(
        condition.kind is ConditionKind.PARENT and condition.expression
        for step in version.steps
        for condition in step.definition.conditions
    )


def load_evidence(
    locked: Sequence[LockedRun],
    tasks_of: Mapping[UUID, Sequence[TaskRow]],
    versions: Mapping[UUID, RegisteredVersion],
) -> Operation[dict[UUID, Evidence]]:
    """Return by run what the conditions of its steps are judged by; nothing is read without conditions."""
    armed: dict[UUID, TaskRow] = {}
    readers: dict[UUID, RegisteredVersion] = {}
    for run in locked:
        version = versions[run.version_id]
        if reads_outputs(version):
            readers[run.id] = version
        if waiting := waiting_steps(version):
            parked = [row for row in tasks_of[run.id] if row.is_parked and row.step_id in waiting]
            armed |= {row.id: row for row in parked}
    queries: list[Query[Any]] = [step_waits.of_tasks(sorted(armed))] if armed else []
    if readers:
        queries.append(tasks.outputs_of_runs(sorted(readers), is_for_start=False))
    if not queries:
        return {}
    results = yield from fetch_all(*queries)
    satisfied: dict[UUID, dict[UUID, set[int]]] = defaultdict(lambda: defaultdict(set))
    for wait in results[0] if armed else ():
        row = armed[wait.task_id]
        numbers = satisfied[row.run_id][row.step_id]
        if wait.is_satisfied:
            numbers.add(wait.ordinal)
    outputs: dict[UUID, dict[UUID, bytes]] = defaultdict(dict)
    for outcome in results[-1] if readers else ():
        if outcome.status == Status.COMPLETED:
            step_id = _step_ids(readers[outcome.run_id])[outcome.readable_id]
            outputs[outcome.run_id][step_id] = outcome.data or b""
    return {run.id: Evidence(outputs[run.id], satisfied[run.id]) for run in locked}


@lru_cache(maxsize=10_000)
def _step_ids(version: RegisteredVersion) -> dict[str, UUID]:
    return {step.definition.readable_id: step.id for step in version.steps}


def new_waits(task: NewTask, step: RegisteredStep) -> list[NewWait]:
    """Return the rows of the sleeps and events that a parked task starts to wait for."""
    asking_for(task.tenant_id)
    listed = []
    for ordinal, condition in enumerate(step.definition.conditions):
        if condition.kind is ConditionKind.PARENT:
            continue
        is_event = condition.kind is ConditionKind.EVENT
        elapses = not is_event and conditions.can_elapse(condition)
        listed.append(
            NewWait(
                task.id,
                ordinal,
                task.tenant_id,
                task.run_id,
                task.version_id,
                task.step_id,
                condition.source if is_event else None,
                condition.sleep_seconds if elapses else None,
            )
        )
    return listed
