"""How runs proceed through their steps, and what a replay resets."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.definition import (
    RegisteredStep,
    RegisteredVersion,
    StepDefinition,
    WorkflowDefinition,
)
from engine.domain.plan_run import TaskState, advance, replay_set, start
from engine.states import Status, StepKind

Q, R, C, F, X = Status.QUEUED, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED
SKIPPED = "skipped"
Outcomes = dict[str, Status | str]


def version_of(*, on_failure: bool = False, **parents: str) -> RegisteredVersion:
    """Build a version from `child="parent parent"`, parents first."""
    steps = [
        StepDefinition(name, f"wf:{name}", parents=tuple(names.split()))
        for name, names in parents.items()
    ]
    if on_failure:
        steps.append(StepDefinition("on_failure", "wf:on_failure", kind=StepKind.ON_FAILURE))
    definition = WorkflowDefinition("wf", tuple(steps))
    registered = tuple(RegisteredStep(UUID(int=n), n, step) for n, step in enumerate(steps, 1))
    return RegisteredVersion(UUID(int=0), UUID(int=0), UUID(int=0), definition, registered)


def states_of(version: RegisteredVersion, outcomes: Outcomes) -> list[TaskState]:
    states = []
    for step in version.steps:
        outcome = outcomes.get(step.definition.readable_id)
        if outcome is not None:
            status = C if isinstance(outcome, str) else outcome
            states.append(TaskState(step.id, step.id, status, outcome == SKIPPED, 0))
    return states


def planned(version: RegisteredVersion, outcomes: Outcomes) -> Outcomes:
    plan = advance(version, states_of(version, outcomes))
    return {
        task.step.definition.readable_id: SKIPPED if task.is_skipped else task.status
        for task in plan.create
    }


def names(steps: Iterable[RegisteredStep]) -> list[str]:
    return [step.definition.readable_id for step in steps]


DIAMOND = version_of(top="", left="top", right="top", end="left right")
GUARDED = version_of(one="", two="one", on_failure=True)


def test_a_new_run_has_its_roots_only() -> None:
    plan = start(version_of(a="", b="", c="a b", on_failure=True))
    assert [(task.step.definition.readable_id, task.status) for task in plan.create] == [
        ("a", Q),
        ("b", Q),
    ]
    assert (plan.run_status, plan.is_finished) == (Q, False)


@pytest.mark.parametrize(
    ("outcomes", "created"),
    [
        ({"top": R}, {}),
        ({"top": C}, {"left": Q, "right": Q}),
        ({"top": C, "left": C, "right": R}, {}),
        ({"top": C, "left": C, "right": C}, {"end": Q}),
        ({"top": C, "left": SKIPPED, "right": C}, {"end": Q}),
        ({"top": C, "left": SKIPPED, "right": SKIPPED}, {"end": SKIPPED}),
        ({"top": SKIPPED}, {"left": SKIPPED, "right": SKIPPED, "end": SKIPPED}),
        ({"top": C, "left": F, "right": R}, {"end": X}),
        ({"top": F}, {"left": X, "right": X, "end": X}),
        ({"top": X}, {"left": X, "right": X, "end": X}),
    ],
)
def test_parents_decide_their_children(outcomes: Outcomes, created: Outcomes) -> None:
    assert planned(DIAMOND, outcomes) == created


@pytest.mark.parametrize(
    ("outcomes", "created"),
    [
        ({"one": C, "two": R}, {}),
        ({"one": C, "two": C}, {"on_failure": SKIPPED}),
        ({"one": X}, {"two": X, "on_failure": SKIPPED}),
        ({"one": F}, {"two": X, "on_failure": Q}),
        ({"one": C, "two": F}, {"on_failure": Q}),
    ],
)
def test_the_on_failure_step_runs_after_failures_only(
    outcomes: Outcomes, created: Outcomes
) -> None:
    assert planned(GUARDED, outcomes) == created


def test_the_on_failure_step_does_not_wait_for_siblings() -> None:
    version = version_of(fails="", sleeps="", on_failure=True)
    assert planned(version, {"fails": F, "sleeps": R}) == {"on_failure": Q}
    assert planned(version, {"fails": X, "sleeps": R}) == {}


@pytest.mark.parametrize(
    ("outcomes", "status", "is_finished"),
    [
        ({"one": Q}, Q, False),
        ({"one": R}, R, False),
        ({"one": C, "two": Q}, R, False),
        ({"one": F, "two": X, "on_failure": Q}, R, False),
        ({"one": F, "two": X, "on_failure": C}, F, True),
        ({"one": C, "two": C, "on_failure": F}, F, True),
        ({"one": C, "two": X, "on_failure": SKIPPED}, X, True),
        ({"one": C, "two": C}, C, True),
    ],
)
def test_a_run_is_final_only_when_every_step_is(
    outcomes: Outcomes, status: Status, is_finished: bool
) -> None:
    plan = advance(GUARDED, states_of(GUARDED, outcomes))
    assert (plan.run_status, plan.is_finished) == (status, is_finished)


def replayed(
    version: RegisteredVersion, outcomes: Outcomes, selected: str
) -> tuple[list[str], list[str]]:
    ids = {step.id for step in version.steps if step.definition.readable_id in selected.split()}
    result = replay_set(version, states_of(version, outcomes), ids)
    return names(result.queue), names(result.decide)


DONE: Outcomes = {"top": C, "left": F, "right": C, "end": X}
GUARDED_DONE: Outcomes = {"one": F, "two": X, "on_failure": C}


@pytest.mark.parametrize(
    ("selected", "queue", "decide"),
    [
        ("top left right end", ["top"], ["left", "right", "end"]),
        ("left", ["left"], ["end"]),
        ("left end", ["left"], ["end"]),
        ("left right", ["left", "right"], ["end"]),
        ("end", ["end"], []),
        ("", [], []),
    ],
)
def test_a_replay_takes_descendants_along(
    selected: str, queue: list[str], decide: list[str]
) -> None:
    assert replayed(DIAMOND, DONE, selected) == (queue, decide)


@pytest.mark.parametrize(
    ("selected", "queue", "decide"),
    [
        ("one two on_failure", ["one"], ["two", "on_failure"]),
        ("one", ["one"], ["two"]),
        ("on_failure", ["on_failure"], []),
    ],
)
def test_the_on_failure_step_is_re_armed_by_a_whole_replay_only(
    selected: str, queue: list[str], decide: list[str]
) -> None:
    assert replayed(GUARDED, GUARDED_DONE, selected) == (queue, decide)


def test_a_replay_leaves_unfinished_work_alone() -> None:
    assert replayed(DIAMOND, {"top": F}, "top") == ([], [])
    running: Outcomes = {"top": C, "left": F, "right": R, "end": X}
    assert replayed(DIAMOND, running, "top left right") == (["left"], ["end"])


@st.composite
def versions(draw: st.DrawFn) -> RegisteredVersion:
    count = draw(st.integers(1, 8))
    parents = {
        f"s{n}": " ".join(
            f"s{parent}"
            for parent in sorted(draw(st.sets(st.integers(0, n - 1)) if n else st.just(set())))
        )
        for n in range(count)
    }
    return version_of(on_failure=draw(st.booleans()), **parents)


@given(versions(), st.data())
def test_every_run_ends_with_one_task_a_step(
    version: RegisteredVersion, data: st.DataObject
) -> None:
    states: dict[UUID, TaskState] = {}
    plan = start(version)
    for _ in range(2 * len(version.steps) + 1):
        plan = advance(version, states.values())
        for task in plan.create:
            assert task.step.id not in states
            states[task.step.id] = TaskState(
                task.step.id, task.step.id, task.status, task.is_skipped, 0
            )
        again = advance(version, states.values())
        assert again == plan._replace(create=()), "planning twice added something"
        unfinished = [state for state in states.values() if not state.status.is_final]
        if not unfinished:
            break
        settled = data.draw(st.sampled_from(unfinished))
        outcome = data.draw(st.sampled_from([C, C, F, X]))
        states[settled.step_id] = settled._replace(status=outcome)
    assert plan.is_finished
    assert states.keys() == {step.id for step in version.steps}
    by_name = {step.definition.readable_id: states[step.id] for step in version.steps}
    for step in version.steps:
        outcomes = [by_name[name] for name in step.definition.parents]
        if any(parent.status in (F, X) for parent in outcomes):
            assert states[step.id].status is X
        elif outcomes and all(parent.is_skipped for parent in outcomes):
            assert states[step.id].is_skipped


@given(versions(), st.data())
def test_a_replayed_run_ends_again(version: RegisteredVersion, data: st.DataObject) -> None:
    ids = [step.id for step in version.steps]
    states = [TaskState(i, i, data.draw(st.sampled_from([C, F, X])), False, 0) for i in ids]
    selected = set(data.draw(st.lists(st.sampled_from(ids), min_size=1)))
    result = replay_set(version, states, selected)
    reset = {step.id for step in (*result.queue, *result.decide)}
    assert selected <= reset
    assert len(reset) == len(result.queue) + len(result.decide)
    current = {state.step_id: state for state in states if state.step_id not in reset}
    current.update({step.id: TaskState(step.id, step.id, C, False, 1) for step in result.queue})
    for _ in result.decide:
        for task in advance(version, current.values()).create:
            status = C if task.status is Q else task.status
            current[task.step.id] = TaskState(
                task.step.id, task.step.id, status, task.is_skipped, 1
            )
    assert advance(version, current.values()).is_finished
