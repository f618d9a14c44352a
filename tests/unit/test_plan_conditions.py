"""Runs whose steps have conditions: every one of them ends, and planning twice adds nothing."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from engine.domain.definition import (
    RegisteredStep,
    RegisteredVersion,
    StepCondition,
    StepDefinition,
    WorkflowDefinition,
)
from engine.domain.plan_run import Evidence, TaskState, advance
from engine.states import ConditionAction, ConditionKind, Status, StepKind

EXPRESSIONS = ["", "output.n > 5", "output.n > 100", "output.missing"]


def version_of(*steps: StepDefinition) -> RegisteredVersion:
    registered = tuple(RegisteredStep(UUID(int=n), n, step) for n, step in enumerate(steps, 1))
    definition = WorkflowDefinition("wf", steps)
    return RegisteredVersion(UUID(int=0), UUID(int=0), UUID(int=0), definition, registered)


@st.composite
def conditions(draw: st.DrawFn, parents: tuple[str, ...]) -> StepCondition:
    kinds = list(ConditionKind) if parents else [ConditionKind.SLEEP, ConditionKind.EVENT]
    kind = draw(st.sampled_from(kinds))
    is_parent = kind is ConditionKind.PARENT
    return StepCondition(
        kind,
        draw(st.sampled_from(ConditionAction)),
        draw(st.integers(0, 2)),
        draw(st.sampled_from(parents)) if is_parent else "5s",
        "key",
        draw(st.sampled_from(EXPRESSIONS)) if is_parent else "",
        0.0 if is_parent else 5.0,
    )


@st.composite
def versions(draw: st.DrawFn) -> RegisteredVersion:
    steps: list[StepDefinition] = []
    for n in range(draw(st.integers(1, 6))):
        chosen = draw(st.sets(st.integers(0, n - 1))) if n else set()
        parents = tuple(f"s{parent}" for parent in sorted(chosen))
        listed = tuple(draw(st.lists(conditions(parents), max_size=3)))
        steps.append(StepDefinition(f"s{n}", f"wf:s{n}", parents=parents, conditions=listed))
    if draw(st.booleans()):
        steps.append(StepDefinition("rescue", "wf:rescue", kind=StepKind.ON_FAILURE))
    return version_of(*steps)


@given(versions(), st.data())
def test_every_run_ends_once_all_it_waits_for_has_come(
    version: RegisteredVersion, data: st.DataObject
) -> None:
    states: dict[UUID, TaskState] = {}
    outputs: dict[UUID, bytes] = {}
    waits: dict[UUID, set[int]] = {}
    steps = {step.id: step.definition for step in version.steps}
    while True:
        evidence = Evidence(outputs, waits)
        plan = advance(version, states.values(), evidence)
        for task in plan.create:
            assert task.step.id not in states
            states[task.step.id] = TaskState(
                task.step.id, task.step.id, task.status, task.is_skipped, 0
            )
            waits.pop(task.step.id, None)
        for step in plan.arm:
            assert step.id not in states and step.id not in waits
            waits[step.id] = set()
        again = advance(version, states.values(), evidence)
        assert again == plan._replace(create=(), arm=()), "planning twice added something"
        unfinished = [state for state in states.values() if not state.status.is_final]
        open_waits = [
            (step_id, number)
            for step_id, satisfied in waits.items()
            for number, condition in enumerate(steps[step_id].conditions)
            if condition.kind is not ConditionKind.PARENT and number not in satisfied
        ]
        if not unfinished and not open_waits:
            break
        position = data.draw(st.integers(0, len(unfinished) + len(open_waits) - 1))
        if position < len(unfinished):
            moved = unfinished[position]
            ends = [Status.COMPLETED, Status.COMPLETED, Status.FAILED, Status.CANCELLED]
            status = data.draw(st.sampled_from(ends))
            states[moved.step_id] = moved._replace(status=status)
            outputs[moved.step_id] = data.draw(st.sampled_from([b'{"n": 7}', b'{"n": 1}', b""]))
        else:
            step_id, number = open_waits[position - len(unfinished)]
            waits[step_id].add(number)
    assert plan.is_finished
    assert not waits
    assert states.keys() == steps.keys()


def test_a_run_of_nothing_but_waiting_steps_is_queued() -> None:
    sleep = StepCondition(ConditionKind.SLEEP, ConditionAction.QUEUE, 0, "5s", "k", "", 5.0)
    first = StepDefinition("a", "wf:a", conditions=(sleep,))
    version = version_of(first, replace(first, readable_id="b"))
    plan = advance(version, ())
    assert [step.definition.readable_id for step in plan.arm] == ["a", "b"]
    assert (plan.create, plan.run_status, plan.is_finished) == ((), Status.QUEUED, False)
