"""The conditions of a task in a PutWorkflow request, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.domain.cel.expressions import Environment, compile_expression
from engine.domain.definition import StepCondition
from engine.domain.durations import parse_sleep
from engine.errors import InvalidArgument
from engine.pb.v1 import workflows_pb2 as pb
from engine.pb.v1.shared import condition_pb2
from engine.rpc.parse import parse_key
from engine.states import ConditionAction, ConditionKind

MAX_CONDITIONS = 1_000
_ACTIONS = {int(action): action for action in ConditionAction}


def parse_conditions(
    task: pb.CreateTaskOpts, parents: Sequence[str], where: str
) -> tuple[StepCondition, ...]:
    """Return the conditions with their or-groups numbered in order of appearance.

    SDKs make up new group ids whenever they start; numbers keep the definition the same. For the same
    reason a parent's name replaces the data key of a condition on it.
    """
    numbers: dict[str, int] = {}
    conditions = []
    for position, (kind, base, source) in enumerate(_listed(task.conditions)):
        if position == MAX_CONDITIONS:
            raise InvalidArgument(f"{where}: more than {MAX_CONDITIONS} conditions")
        group_id = base.or_group_id or f"its own {position}"
        group = numbers.setdefault(group_id, len(numbers))
        conditions.append(_parse(kind, base, source, group=group, where=where))
        if kind is ConditionKind.PARENT and source not in parents:
            raise InvalidArgument(
                f'{where}: a condition names "{source}", which is not one of its parents'
            )
    return tuple(conditions)


def _listed(
    conditions: condition_pb2.TaskConditions,
) -> Iterator[tuple[ConditionKind, condition_pb2.BaseMatchCondition, str]]:
    for parent in conditions.parent_override_conditions:
        yield ConditionKind.PARENT, parent.base, parent.parent_readable_id
    for sleep in conditions.sleep_conditions:
        yield ConditionKind.SLEEP, sleep.base, sleep.sleep_for
    for event in conditions.user_event_conditions:
        yield ConditionKind.EVENT, event.base, event.user_event_key


def _parse(
    kind: ConditionKind,
    base: condition_pb2.BaseMatchCondition,
    source: str,
    *,
    group: int,
    where: str,
) -> StepCondition:
    field = f"{where}: conditions"
    if base.action not in _ACTIONS:
        raise InvalidArgument(f"{field}: the action must be QUEUE, CANCEL or SKIP")
    data_key = parse_key(base.readable_data_key, f"{field}: readable_data_key")
    expression = base.expression.strip()
    if expression:
        compile_expression(expression, Environment.CONDITION, f"{field}: expression", bool)
    if kind is ConditionKind.EVENT:
        parse_key(source, f"{field}: user_event_key")
    is_sleep = kind is ConditionKind.SLEEP
    return StepCondition(
        kind=kind,
        action=_ACTIONS[base.action],
        group=group,
        source=source,
        data_key=source if kind is ConditionKind.PARENT else data_key,
        expression=expression,
        sleep_seconds=parse_sleep(source, f"{field}: sleep_for") if is_sleep else 0.0,
    )
