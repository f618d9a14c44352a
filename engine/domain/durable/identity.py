"""What makes two calls of a durable task the same, and how a call is described to people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from engine.domain.durable.calls import WaitCondition
from engine.domain.durations import parse_durable_sleep
from engine.states import ConditionKind, DurableKind

_LONGEST_NAME = 200
_LONGEST_DESCRIPTION = 1_000
_LONGEST_PLAIN_KEY = 200


def memo_identity(key: bytes) -> bytes:
    return _digest(DurableKind.MEMO, key)


def run_identity(workflow_name: str, input_: bytes) -> bytes:
    return _digest(DurableKind.RUN, workflow_name.encode(), input_)


def wait_identity(conditions: Sequence[WaitCondition]) -> bytes:
    """Hash what is waited for. Groups have random ids, so they cannot count; nor do scopes and windows."""
    forms = sorted(
        (c.expression, c.data_key, int(c.kind), c.source.encode().hex()) for c in conditions
    )
    return _digest(DurableKind.WAIT_FOR, orjson.dumps(forms))


def scope_key(conditions: Sequence[WaitCondition]) -> str | None:
    """Return what tells waits of coroutines apart that differ in nothing but their scopes."""
    scoped = sorted((c.source, c.data_key, c.scope) for c in conditions if c.scope is not None)
    return f"s:{sha256(orjson.dumps(scoped)).hexdigest()}" if scoped else None


def _digest(kind: DurableKind, *parts: bytes) -> bytes:
    hashed = sha256(bytes([kind]))
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.digest()


def dedupe_key(child_key: str | None, child_index: int | None) -> str | None:
    """Return what makes a child unique under its parent: its key, or else its index."""
    if child_key:
        data = child_key.encode()
        return (
            f"k:{child_key}" if len(data) <= _LONGEST_PLAIN_KEY else f"h:{sha256(data).hexdigest()}"
        )
    return None if child_index is None else f"i:{child_index}"


def is_index(key: str) -> bool:
    """Say whether the key of a child is its index, which clients count up by themselves."""
    return key.startswith("i:")


def describe_run(workflow_name: str) -> str:
    return f"run({_short(workflow_name)})"


def describe_wait(conditions: Sequence[WaitCondition]) -> str:
    listed = []
    for group in in_groups(conditions):
        names = [_describe(condition) for condition in group]
        listed.append(names[0] if len(names) == 1 else f"any of: {', '.join(names)}")
    return _short(" and ".join(listed) or "nothing", _LONGEST_DESCRIPTION)


def _describe(condition: WaitCondition) -> str:
    kind = "sleep" if condition.kind is ConditionKind.SLEEP else "event"
    return f"{kind}({_short(condition.source)})"


def _short(text: str, limit: int = _LONGEST_NAME) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def in_groups(conditions: Sequence[WaitCondition]) -> list[list[WaitCondition]]:
    """Return the conditions by group, in the order in which the groups are named first."""
    groups: dict[UUID, list[WaitCondition]] = defaultdict(list)
    for condition in conditions:
        groups[condition.group].append(condition)
    return list(groups.values())


def run_detail(workflow_name: str) -> str:
    """Return, as JSON text, what the API says about a child that is waited for."""
    return orjson.dumps([{"kind": "CHILD_WORKFLOW", "workflowName": workflow_name}]).decode()


def wait_detail(conditions: Sequence[WaitCondition]) -> str:
    """Return, as JSON text, what the API says about a wait: single conditions, then alternatives."""
    groups = in_groups(conditions)
    listed: list[Any] = [_detail(group[0]) for group in groups if len(group) == 1]
    listed += [{"or": [_detail(c) for c in group]} for group in groups if len(group) > 1]
    return orjson.dumps(listed).decode()


def _detail(condition: WaitCondition) -> dict[str, Any]:
    if condition.kind is ConditionKind.EVENT:
        return {"kind": "USER_EVENT", "eventKey": condition.source}
    seconds = parse_durable_sleep(condition.source, "sleep_for")
    return {"kind": "SLEEP", "sleepDurationMs": round(seconds * 1000)}


def mismatch_message(task_id: UUID, node: tuple[int, int], expected: str, received: str) -> str:
    """Return the text of a non-determinism error; clients look for its first words."""
    branch_id, node_id = node
    return (
        f"non-determinism error in task {task_id} at node {node_id}:{branch_id}\n"
        f"  expected: {expected}\n  received: {received}"
    )
