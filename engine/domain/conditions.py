"""Whether a step with conditions runs: parents are judged first, then sleeps and events.

Conditions of one group are alternatives, and an action fires when all its groups have a satisfied one.
Of actions that fire together SKIP goes before CANCEL, and CANCEL before QUEUE. Sleeps start, and events
count, only once the parents allow the step to run: the step is *armed* then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import orjson

from engine.domain.cel.expressions import Environment, compile_expression
from engine.domain.definition import StepCondition, StepDefinition
from engine.states import ConditionAction, ConditionKind, Status

SKIPPED_OUTPUT = b'{"skipped":true}'


class ParentOutcome(NamedTuple):
    """Where a parent stands; `output` is the JSON text of a completed one, empty for none."""

    status: Status
    output: bytes = b""
    is_skipped: bool = False


class Verdict(Enum):
    """What becomes of a step: nothing yet, armed, or decided."""

    WAIT = "wait"
    ARM = "arm"
    QUEUE = "queue"
    SKIP = "skip"
    CANCEL = "cancel"


def decide(
    step: StepDefinition,
    parents: Mapping[str, ParentOutcome],
    satisfied: Collection[int] | None = None,
) -> Verdict:
    """Judge a step by its parents so far and the satisfied ones of its other conditions, by position.

    `satisfied` None means that the step is not armed. A parent that failed or was cancelled always
    cancels. A step whose parents all completed without allowing it to run, ever, is cancelled too.
    """
    known = [parents.get(name) for name in step.parents]
    held = {
        number
        for number, condition in enumerate(step.conditions)
        if _parent_holds(condition, parents) or number in (satisfied or ())
    }
    is_complete = all(parent and parent.status is Status.COMPLETED for parent in known)
    if _fires(step, ConditionAction.SKIP, held) or (is_complete and _inherits_skip(step, parents)):
        return Verdict.SKIP
    if _fires(step, ConditionAction.CANCEL, held):
        return Verdict.CANCEL
    if any(parent and parent.status in (Status.FAILED, Status.CANCELLED) for parent in known):
        return Verdict.CANCEL
    return _decide_queue(step, parents, held, is_armed=satisfied is not None)


def _decide_queue(
    step: StepDefinition,
    parents: Mapping[str, ParentOutcome],
    held: Collection[int],
    *,
    is_armed: bool,
) -> Verdict:
    groups = _groups(step, ConditionAction.QUEUE)
    own_rule = {
        condition.source
        for condition in step.conditions
        if condition.action is ConditionAction.QUEUE and condition.kind is ConditionKind.PARENT
    }
    by_default = [name for name in step.parents if name not in own_rule]
    allows = _completed(by_default, parents)
    if allows and all(any(number in held for number in group) for group in groups):
        return Verdict.QUEUE
    if is_armed:
        return Verdict.WAIT
    if allows and all(_may_follow(step, group, parents, held) for group in groups):
        return Verdict.ARM
    return Verdict.CANCEL if _completed(step.parents, parents) else Verdict.WAIT


def _may_follow(
    step: StepDefinition,
    group: Sequence[int],
    parents: Mapping[str, ParentOutcome],
    held: Collection[int],
) -> bool:
    """Whether parents have done their part for a group: it is met, or sleeps and events may meet it."""
    if any(number in held for number in group):
        return True
    conditions = [step.conditions[number] for number in group]
    of_parents = [c.source for c in conditions if c.kind is ConditionKind.PARENT]
    return len(of_parents) < len(group) and _completed(of_parents, parents)


def _completed(names: Sequence[str], parents: Mapping[str, ParentOutcome]) -> bool:
    return all(
        (parent := parents.get(name)) is not None and parent.status is Status.COMPLETED
        for name in names
    )


def _inherits_skip(step: StepDefinition, parents: Mapping[str, ParentOutcome]) -> bool:
    """Skipped because all parents were, unless a rule of its own says when parents skip the step."""
    has_own_rule = any(
        condition.kind is ConditionKind.PARENT and condition.action is ConditionAction.SKIP
        for condition in step.conditions
    )
    skips = [parents[name].is_skipped for name in step.parents]
    return bool(skips) and all(skips) and not has_own_rule


def _groups(step: StepDefinition, action: ConditionAction) -> list[list[int]]:
    """Return the positions of the conditions of each group of one action."""
    groups: dict[int, list[int]] = defaultdict(list)
    for number, condition in enumerate(step.conditions):
        if condition.action is action:
            groups[condition.group].append(number)
    return list(groups.values())


def _fires(step: StepDefinition, action: ConditionAction, held: Collection[int]) -> bool:
    groups = _groups(step, action)
    return bool(groups) and all(any(number in held for number in group) for group in groups)


def _parent_holds(condition: StepCondition, parents: Mapping[str, ParentOutcome]) -> bool:
    if condition.kind is not ConditionKind.PARENT:
        return False
    parent = parents.get(condition.source)
    if parent is None or parent.status is not Status.COMPLETED:
        return False
    return expression_holds(condition.expression, output=parent.output)


def event_holds(condition: StepCondition, payload: bytes) -> bool:
    """Say whether an event with this payload satisfies a condition on its key."""
    return expression_holds(condition.expression, input_=payload)


def can_elapse(condition: StepCondition) -> bool:
    """Say whether a sleep satisfies its condition once it is over; its expression sees the same then."""
    return expression_holds(condition.expression, input_=sleep_data(condition))


def sleep_data(condition: StepCondition) -> bytes:
    """Return what a task is told of a sleep that is over."""
    return orjson.dumps({"sleep_duration": condition.source})


def expression_holds(expression: str, *, input_: bytes = b"", output: bytes = b"") -> bool:
    """Evaluate a condition's expression: blank is true, whatever fails is false."""
    if not expression.strip():
        return True
    program = compile_expression(expression, Environment.CONDITION, "condition", bool)
    return program.evaluate({"input": input_, "output": output}).value is True
