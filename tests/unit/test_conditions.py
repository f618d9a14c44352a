"""When a step with conditions runs: the rules one by one, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.conditions import (
    ParentOutcome,
    Verdict,
    can_elapse,
    decide,
    event_holds,
    expression_holds,
)
from engine.domain.definition import StepCondition, StepDefinition
from engine.states import ConditionAction, ConditionKind, Status

QUEUE, CANCEL, SKIP = ConditionAction.QUEUE, ConditionAction.CANCEL, ConditionAction.SKIP
DONE = ParentOutcome(Status.COMPLETED, b'{"n": 7}')
SKIPPED = ParentOutcome(Status.COMPLETED, b'{"skipped":true}', is_skipped=True)
FAILED, CANCELLED = ParentOutcome(Status.FAILED), ParentOutcome(Status.CANCELLED)
RUNNING = ParentOutcome(Status.RUNNING)


def step(parents: str, *conditions: StepCondition) -> StepDefinition:
    """A step whose conditions are groups of their own, unless they were given the same number."""
    numbered = tuple(
        replace(condition, group=100 + number) if condition.group < 0 else condition
        for number, condition in enumerate(conditions)
    )
    return StepDefinition("s", "wf:s", parents=tuple(parents.split()), conditions=numbered)


def parent(
    name: str, action: ConditionAction, expression: str = "", group: int = -1
) -> StepCondition:
    return StepCondition(ConditionKind.PARENT, action, group, name, name, expression)


def sleep(action: ConditionAction = QUEUE, group: int = -1) -> StepCondition:
    return StepCondition(ConditionKind.SLEEP, action, group, "5s", "k", sleep_seconds=5)


def event(action: ConditionAction = QUEUE, group: int = -1) -> StepCondition:
    return StepCondition(ConditionKind.EVENT, action, group, "go", "k")


def test_sleeps_and_events_start_when_all_parents_are_done() -> None:
    waiting = step("a b", sleep())
    assert decide(waiting, {"a": DONE}) is Verdict.WAIT
    assert decide(waiting, {"a": DONE, "b": RUNNING}) is Verdict.WAIT
    assert decide(waiting, {"a": DONE, "b": SKIPPED}) is Verdict.ARM
    assert decide(waiting, {"a": DONE, "b": SKIPPED}, ()) is Verdict.WAIT
    assert decide(waiting, {"a": DONE, "b": SKIPPED}, {0}) is Verdict.QUEUE
    assert decide(step("", sleep()), {}) is Verdict.ARM


def test_groups_must_all_be_met_and_one_of_a_group_is_enough() -> None:
    waiting = step("", sleep(group=1), event(group=1), event(group=2))
    for satisfied, verdict in [
        (set(), Verdict.WAIT),
        ({0}, Verdict.WAIT),
        ({2}, Verdict.WAIT),
        ({0, 1}, Verdict.WAIT),
        ({1, 2}, Verdict.QUEUE),
    ]:
        assert decide(waiting, {}, satisfied) is verdict


def test_skip_goes_before_cancel_and_cancel_before_queue() -> None:
    waiting = step("", sleep(QUEUE), sleep(CANCEL), sleep(SKIP))
    assert decide(waiting, {}, {0, 1, 2}) is Verdict.SKIP
    assert decide(waiting, {}, {0, 1}) is Verdict.CANCEL
    assert decide(waiting, {}, {0}) is Verdict.QUEUE


def test_a_skip_on_a_parent_does_not_wait_for_others_and_replaces_the_default() -> None:
    skipping = step("a b", parent("a", SKIP, "output.n > 5"))
    assert decide(skipping, {"a": DONE}) is Verdict.SKIP
    assert decide(skipping, {"b": DONE}) is Verdict.WAIT
    assert decide(skipping, {"a": SKIPPED, "b": SKIPPED}) is Verdict.QUEUE
    assert decide(step("a b", event(SKIP)), {"a": SKIPPED, "b": SKIPPED}) is Verdict.SKIP
    assert decide(step("a b", event(SKIP)), {"a": SKIPPED, "b": DONE}) is Verdict.QUEUE


def test_without_anything_to_wait_for_a_step_runs_when_its_parents_allow() -> None:
    """Events that would skip or cancel it come too late, unless a parent's condition holds already."""
    assert decide(step("a", event(SKIP), sleep(CANCEL)), {"a": DONE}) is Verdict.QUEUE
    assert decide(step("", event(CANCEL)), {}) is Verdict.QUEUE
    cancelling = step("a", parent("a", CANCEL, "output.n > 5"))
    assert decide(cancelling, {"a": DONE}) is Verdict.CANCEL


@pytest.mark.parametrize("outcome", [FAILED, CANCELLED])
def test_a_failed_or_cancelled_parent_always_cancels(outcome: ParentOutcome) -> None:
    for conditions in (
        (parent("a", CANCEL, "output.n > 100"),),
        (parent("a", QUEUE), event()),
        (parent("a", QUEUE, group=1), sleep(group=1)),
    ):
        assert decide(step("a b", *conditions), {"a": outcome}) is Verdict.CANCEL
        assert decide(step("a b", *conditions), {"b": outcome}, {1}) is Verdict.CANCEL


def test_a_condition_on_a_parent_replaces_its_default() -> None:
    either = step("a b", parent("a", QUEUE, group=1), parent("b", QUEUE, group=1))
    assert decide(either, {"a": DONE}) is Verdict.QUEUE
    only = step("a b", parent("a", QUEUE, "output.n > 5"))
    assert decide(only, {"a": DONE}) is Verdict.WAIT
    assert decide(only, {"a": DONE, "b": DONE}) is Verdict.QUEUE


def test_a_step_that_can_never_run_is_cancelled_once_its_parents_are_done() -> None:
    never = step("a b", parent("a", QUEUE, "output.n > 100"), event())
    assert decide(never, {"a": DONE}) is Verdict.WAIT
    assert decide(never, {"a": DONE, "b": DONE}) is Verdict.CANCEL


def test_a_group_may_mix_parents_with_sleeps_and_events() -> None:
    mixed = step("a", parent("a", QUEUE, "output.n > 5", group=1), sleep(group=1))
    assert decide(mixed, {"a": DONE}) is Verdict.QUEUE
    low = ParentOutcome(Status.COMPLETED, b'{"n": 1}')
    assert decide(mixed, {"a": low}) is Verdict.ARM
    assert decide(mixed, {"a": low}, ()) is Verdict.WAIT
    assert decide(mixed, {"a": low}, {1}) is Verdict.QUEUE
    skipping = step("a", parent("a", SKIP, "output.n > 5", group=1), event(SKIP, group=1), sleep())
    assert decide(skipping, {"a": DONE}) is Verdict.SKIP
    assert decide(skipping, {"a": low}, {1}) is Verdict.SKIP


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("", True),
        ("output.n > 50", True),
        ("output.n == 51", True),
        ("output.n > 51", False),
        ("output.missing > 1", False),
        ("output.n", False),
        ("!has(output.missing)", True),
    ],
)
def test_expressions_that_fail_are_false(expression: str, holds: bool) -> None:
    assert expression_holds(expression, output=b'{"n": 51}') is holds
    assert event_holds(replace(event(), expression="input.ok"), b'{"ok": true}')
    assert not event_holds(replace(event(), expression="input.ok"), b"")
    assert not can_elapse(replace(sleep(), expression="input.sleep_duration == '6s'"))
    assert can_elapse(replace(sleep(), expression="input.sleep_duration == '5s'"))


names = st.sampled_from(["a", "b"])
conditions = st.lists(
    st.one_of(
        st.builds(
            parent,
            names,
            st.sampled_from([QUEUE, CANCEL, SKIP]),
            st.sampled_from(["", "output.n > 5", "output.n > 100"]),
            st.integers(0, 2),
        ),
        st.builds(sleep, st.sampled_from([QUEUE, CANCEL, SKIP]), st.integers(0, 2)),
        st.builds(event, st.sampled_from([QUEUE, CANCEL, SKIP]), st.integers(0, 2)),
    ),
    max_size=5,
)
outcomes = st.dictionaries(names, st.sampled_from([DONE, SKIPPED, FAILED, CANCELLED, RUNNING]))


@given(conditions, outcomes, st.none() | st.sets(st.integers(0, 4)))
def test_what_holds_for_all_conditions(
    listed: list[StepCondition], parents: dict[str, ParentOutcome], satisfied: set[int] | None
) -> None:
    judged = step("a b", *listed)
    others = {n for n, c in enumerate(listed) if c.kind is not ConditionKind.PARENT}
    known = None if satisfied is None else satisfied & others
    verdict = decide(judged, parents, known)
    settled = [p.status for p in parents.values()]
    is_broken = Status.FAILED in settled or Status.CANCELLED in settled
    if is_broken:
        assert verdict in (Verdict.CANCEL, Verdict.SKIP)
    if known is not None:
        assert verdict is not Verdict.ARM
    all_done = len(parents) == 2 and set(settled) == {Status.COMPLETED}
    if all_done and known is None:
        assert verdict is not Verdict.WAIT
    if verdict is Verdict.ARM:
        assert others and not is_broken
        assert decide(judged, parents, ()) is Verdict.WAIT
        assert decide(judged, parents, others) in (Verdict.QUEUE, Verdict.SKIP, Verdict.CANCEL)
