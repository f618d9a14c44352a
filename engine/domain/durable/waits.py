"""When a wait of a durable task is over, and what the task is told then.

A wait is a conjunction of groups of alternatives: it is over when every group has a condition that is met.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import orjson

from engine.domain.conditions import expression_holds
from engine.domain.durable.calls import WaitCondition
from engine.domain.durations import parse_durable_sleep
from engine.errors import InvalidArgument
from engine.states import ConditionKind

MAX_CONDITIONS = 1_000
MAX_SOURCE_BYTES = 2_000
"""Event keys are indexed, and an index has a longest entry."""


class Condition(NamedTuple):
    """A condition as it is kept. `seconds` is how long a sleep takes, None if it never ends."""

    group: int
    is_event: bool
    source: str
    data_key: str
    expression: str
    scope: str | None = None
    since: datetime | None = None
    seconds: float | None = None


class Met(NamedTuple):
    """Where one condition of a wait stands; `payload` is the event that met it."""

    group: int
    is_event: bool
    source: str
    data_key: str
    is_met: bool
    payload: bytes | None = None


def parse_conditions(asked: Sequence[WaitCondition]) -> list[Condition]:
    """Return the conditions to keep, groups numbered. InvalidArgument says which one is wrong."""
    if len(asked) > MAX_CONDITIONS:
        raise InvalidArgument(f"a wait may have {MAX_CONDITIONS} conditions at most")
    numbers: dict[UUID, int] = {}
    return [_parse(found, numbers.setdefault(found.group, len(numbers))) for found in asked]


def _parse(asked: WaitCondition, group: int) -> Condition:
    is_event = asked.kind is ConditionKind.EVENT
    seconds = None
    for text in (asked.source, asked.data_key, asked.expression, asked.scope):
        if text and "\0" in text:
            raise InvalidArgument("a condition contains a null character")
    if len(asked.source.encode()) > MAX_SOURCE_BYTES:
        raise InvalidArgument(f"the key of an event may have {MAX_SOURCE_BYTES} bytes at most")
    if is_event and not asked.source:
        raise InvalidArgument("an event to wait for needs a key")
    if not is_event:
        seconds = parse_durable_sleep(asked.source, "sleep_for")
        if not holds(asked.expression, sleep_data(asked.source)):
            seconds = None
    looks_back = is_event and asked.scope is not None and asked.since is not None
    return Condition(
        group,
        is_event,
        asked.source,
        asked.data_key,
        asked.expression,
        asked.scope if is_event else None,
        asked.since if looks_back else None,
        seconds,
    )


def holds(expression: str, payload: bytes) -> bool:
    """Say whether an expression is true of an event or a sleep; one that does not compile never is."""
    try:
        return expression_holds(expression, input_=payload)
    except InvalidArgument:
        return False


def scope_fits(wanted: str | None, scope: str | None) -> bool:
    """Say whether an event of this scope may meet a condition with that one; without one, any may."""
    return wanted is None or wanted == scope


@lru_cache(maxsize=1_000)
def sleep_data(source: str) -> bytes:
    """Return what a task is told of a sleep that is over: its duration exactly as it was written."""
    return orjson.dumps({"sleep_duration": source})


def is_over(conditions: Iterable[Met]) -> bool:
    """Say whether every group has a condition that is met."""
    groups: dict[int, bool] = {}
    for condition in conditions:
        groups[condition.group] = groups.get(condition.group, False) or condition.is_met
    return all(groups.values())


def result_of(conditions: Iterable[Met]) -> bytes:
    """Return what the task is told: under each data key the events and sleeps that met conditions."""
    found: dict[str, list[bytes]] = {}
    for condition in conditions:
        if condition.is_met:
            data = condition.payload if condition.is_event else sleep_data(condition.source)
            found.setdefault(condition.data_key, []).append(data or b"{}")
    keys = (orjson.dumps(key) + b":[" + b",".join(data) + b"]" for key, data in found.items())
    return b'{"CREATE":{' + b",".join(keys) + b"}}"
