"""How a run proceeds through the steps of its version: what to create next, and where the run stands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from engine.domain import conditions
from engine.domain.cel.answers import asking_for
from engine.domain.conditions import SKIPPED_OUTPUT, ParentOutcome, Verdict
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.states import Status, StepKind


class TaskState(NamedTuple):
    """Where the task of one step stands."""

    step_id: UUID
    task_id: UUID
    status: Status
    is_skipped: bool
    retry_count: int


class NewTask(NamedTuple):
    """A task to create: queued, or settled at once (cancelled, or completed because it is skipped)."""

    step: RegisteredStep
    status: Status
    is_skipped: bool
    reason: str = ""
    """Why it is settled at once."""


class Evidence(NamedTuple):
    """What conditions are judged by, by step id: outputs of completed tasks, satisfied waits.

    A step in `waits` is armed; the numbers are the positions of its satisfied conditions.
    """

    outputs: Mapping[UUID, bytes] = MappingProxyType({})
    waits: Mapping[UUID, Collection[int]] = MappingProxyType({})


NO_EVIDENCE = Evidence()


class RunPlan(NamedTuple):
    """`run_status` counts the tasks of `create` in. Steps of `arm` start to wait for their conditions."""

    create: tuple[NewTask, ...]
    run_status: Status
    is_finished: bool
    arm: tuple[RegisteredStep, ...] = ()


class ReplaySet(NamedTuple):
    """Steps whose tasks are reset: `queue` runs at once, `decide` waits for its parents' new outcomes.

    Leave the states of both out of the next `advance` once `queue` is queued and given back as queued.
    """

    queue: tuple[RegisteredStep, ...]
    decide: tuple[RegisteredStep, ...]


class _Outcome(NamedTuple):
    status: Status
    is_skipped: bool
    reason: str = ""


_QUEUED = _Outcome(Status.QUEUED, is_skipped=False)
_CANCELLED = _Outcome(Status.CANCELLED, is_skipped=False)
_SKIPPED = _Outcome(Status.COMPLETED, is_skipped=True)
_OUTCOME_OF = {
    Verdict.QUEUE: _QUEUED,
    Verdict.CANCEL: _CANCELLED._replace(reason="Its conditions cancelled it."),
    Verdict.SKIP: _SKIPPED._replace(reason="Its conditions skipped it."),
}


def start(version: RegisteredVersion) -> RunPlan:
    """Plan the first tasks of a new run."""
    return advance(version, ())


def advance(
    version: RegisteredVersion, states: Iterable[TaskState], evidence: Evidence = NO_EVIDENCE
) -> RunPlan:
    """Plan what follows from the tasks there are; planning again after creating it adds nothing.

    A step without a state is created when its parents and conditions allow a decision. A child of a
    failed or cancelled parent is cancelled without waiting for the other parents, and so on down the
    graph.
    """
    by_step = {state.step_id: _Outcome(state.status, state.is_skipped) for state in states}
    outcomes: dict[str, _Outcome] = {}
    create: list[NewTask] = []
    arm: list[RegisteredStep] = []
    for step in _in_order(version):
        outcome = by_step.get(step.id)
        if outcome is None:
            if step.definition.conditions:
                verdict = _judge(step, version, outcomes, evidence)
                if verdict is Verdict.ARM:
                    arm.append(step)
                outcome = _OUTCOME_OF.get(verdict)
                if verdict is Verdict.CANCEL:
                    outcome = _after_broken_parent(step, outcomes) or outcome
            else:
                outcome = _decide(step, outcomes, len(version.steps))
            if outcome is None:
                continue
            create.append(NewTask(step, *outcome))
        outcomes[step.definition.readable_id] = outcome
    statuses = [outcome.status for outcome in outcomes.values()]
    is_finished = len(statuses) == len(version.steps) and all(s.is_final for s in statuses)
    run_status = _run_status(statuses, is_finished=is_finished)
    return RunPlan(tuple(create), run_status, is_finished, tuple(arm))


def replay_set(
    version: RegisteredVersion, states: Iterable[TaskState], selected: Collection[UUID]
) -> ReplaySet:
    """Return what replaying the selected steps resets; nothing unless every step has its task.

    Descendants follow. A step which is not final, or has a descendant that is not, stays as it is.
    The on-failure step runs again when selected alone and waits anew when selected with others.
    """
    final = {state.step_id: state.status.is_final for state in states}
    steps = _in_order(version)
    if any(step.id not in final for step in steps):
        return ReplaySet((), ())
    unsettled: set[str] = set()
    for step in reversed(steps):
        if not final[step.id] or step.definition.readable_id in unsettled:
            unsettled.update((step.definition.readable_id, *step.definition.parents))
    replayed: set[str] = set()
    queue: list[RegisteredStep] = []
    decide: list[RegisteredStep] = []
    for step in steps:
        name = step.definition.readable_id
        is_on_failure = step.definition.kind is StepKind.ON_FAILURE
        waits = (
            bool(replayed) if is_on_failure else not replayed.isdisjoint(step.definition.parents)
        )
        is_chosen = step.id in selected or (waits and not is_on_failure)
        if not is_chosen or name in unsettled:
            continue
        replayed.add(name)
        (decide if waits else queue).append(step)
    return ReplaySet(tuple(queue), tuple(decide))


@lru_cache(maxsize=10_000)
def _in_order(version: RegisteredVersion) -> tuple[RegisteredStep, ...]:
    """Return the steps, parents first and the on-failure step last."""
    return tuple(
        sorted(
            version.steps,
            key=lambda step: (step.definition.kind is StepKind.ON_FAILURE, step.ordinal),
        )
    )


def _decide(
    step: RegisteredStep, outcomes: dict[str, _Outcome], step_count: int
) -> _Outcome | None:
    if step.definition.kind is StepKind.ON_FAILURE:
        return _decide_on_failure(outcomes, step_count)
    known = [outcomes.get(name) for name in step.definition.parents]
    if broken := _after_broken_parent(step, outcomes):
        return broken
    if any(parent is None or parent.status is not Status.COMPLETED for parent in known):
        return None
    if known and all(parent and parent.is_skipped for parent in known):
        return _SKIPPED._replace(reason="All steps before it were skipped.")
    return _QUEUED


def _after_broken_parent(step: RegisteredStep, outcomes: Mapping[str, _Outcome]) -> _Outcome | None:
    """Return that a step is cancelled if a parent of it failed or was cancelled."""
    for name in step.definition.parents:
        parent = outcomes.get(name)
        if parent and parent.status in (Status.FAILED, Status.CANCELLED):
            words = "failed" if parent.status is Status.FAILED else "was cancelled"
            return _CANCELLED._replace(reason=f"The step {name}, which it follows, {words}.")
    return None


def _judge(
    step: RegisteredStep,
    version: RegisteredVersion,
    outcomes: Mapping[str, _Outcome],
    evidence: Evidence,
) -> Verdict:
    asking_for(version.tenant_id)
    parents = {}
    for parent in version.steps:
        name = parent.definition.readable_id
        if name in step.definition.parents and (outcome := outcomes.get(name)):
            output = SKIPPED_OUTPUT if outcome.is_skipped else evidence.outputs.get(parent.id, b"")
            parents[name] = ParentOutcome(outcome.status, output, outcome.is_skipped)
    return conditions.decide(step.definition, parents, evidence.waits.get(step.id))


def _decide_on_failure(outcomes: dict[str, _Outcome], step_count: int) -> _Outcome | None:
    """Run it at the first final failure; skip it once every other step is settled without one."""
    if any(outcome.status is Status.FAILED for outcome in outcomes.values()):
        return _QUEUED
    is_settled = all(outcome.status.is_final for outcome in outcomes.values())
    if is_settled and len(outcomes) == step_count - 1:
        return _SKIPPED._replace(reason="No step failed.")
    return None


def _run_status(statuses: list[Status], *, is_finished: bool) -> Status:
    if not is_finished:
        return Status.QUEUED if set(statuses) <= {Status.QUEUED} else Status.RUNNING
    if Status.FAILED in statuses:
        return Status.FAILED
    return Status.CANCELLED if Status.CANCELLED in statuses else Status.COMPLETED
