"""Records the calls of durable tasks, and answers those recorded before from the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from engine.domain.cel.answers import asking_for, repeated_id
from engine.domain.durable.calls import (
    Answer,
    AnswerBody,
    Call,
    Completion,
    MemoAnswer,
    MemoCall,
    MemoResult,
    Node,
    Refused,
    SpawnAnswer,
    SpawnCall,
    Stale,
    Stored,
    Unknown,
    WaitAnswer,
    WaitCall,
)
from engine.domain.durable.identity import dedupe_key
from engine.domain.durable.log import Incomplete
from engine.domain.durable.waits import Condition, parse_conditions
from engine.errors import InvalidArgument
from engine.operations.durable.begin_waits import begin_waits
from engine.operations.durable.locked_logs import (
    LogKey,
    Logs,
    OpenLog,
    at,
    fill_outlines,
    load_entries,
    load_rest,
    lock_logs,
    write_logs,
)
from engine.operations.durable.spawn_children import Spawned, spawn_children
from engine.store import durable_waits
from engine.store.changes import Changes
from engine.store.durable_entries import NodeRange
from engine.store.durable_waits import NewWait, scope_lock
from engine.store.query import Operation, fetch, repeatable

MAX_CHILDREN = 10_000
LONGEST_LABEL = 1_000

Conditions = list[Condition]

Tried = dict[UUID, tuple[int, int, tuple[int, ...] | None]]
"""By task the invocation, and the nodes at which its log stood when calls were tried before."""


@dataclass(slots=True)
class _Following:
    """What new entries come to beyond themselves."""

    spawned: list[Spawned] = field(default_factory=list)
    waits: list[NewWait] = field(default_factory=list)


@repeatable
def record_calls(
    calls: Sequence[Call], now: datetime, tried: Tried | None = None
) -> Operation[list[Answer]]:
    """Answer each call; calls of one task are taken in the order given.

    New entries are written with all that follows from them: children are started, sleeps begin, and
    events are waited for, before anybody is answered.

    `tried` is filled in. Whoever does not learn whether the calls were recorded gives it again with the
    same calls: those that were are found, and not recorded once more.
    """
    parsed = [_parse(call) for call in calls]
    scopes = {
        scope_lock(call.tenant_id, condition.scope)
        for call, found in zip(calls, parsed, strict=True)
        if not isinstance(found, Refused)
        for condition in found
        if condition.since is not None and condition.scope is not None
    }
    if scopes:
        yield from fetch(durable_waits.lock_scopes(sorted(scopes)))
    logs = yield from lock_logs(call.task_id for call in calls)
    if tried is not None:
        _go_back(logs, tried)
    yield from load_entries(logs, _ranges(calls, logs), _keys(calls, logs))
    following = _Following()
    bodies: list[AnswerBody] = []
    for call, found in zip(calls, parsed, strict=True):
        if isinstance(found, Refused):
            bodies.append(found)
            continue
        body = yield from _find_turn(call, found, logs, following)
        bodies.append(body)
    yield from spawn_children(following.spawned, logs, now)
    queries = yield from begin_waits(following.waits, logs, now)
    yield Changes(
        touched={
            (found.task.tenant_id, found.task.run_id)
            for found in logs.values()
            if found.log.created or found.log.changed
        }
    )
    yield from write_logs(logs, now, *queries, is_last=True)
    return [
        Answer(body, _completions(logs.get(call.task_id), call, body))
        for call, body in zip(calls, bodies, strict=True)
    ]


def _go_back(logs: Logs, tried: Tried) -> None:
    for task_id, found in logs.items():
        state = found.log.state
        invocation, node_id, passed = tried.get(task_id, (0, 0, None))
        if invocation == state.invocation:
            state.try_again(node_id, passed)
        else:
            tried[task_id] = state.invocation, state.node_id, state.passed


# What the calls may touch


def _parse(call: Call) -> Conditions | Refused:
    """Return the conditions of a wait, none for other calls; refuse what cannot be recorded."""
    body = call.body
    asking_for(call.tenant_id)
    try:
        if isinstance(body, WaitCall):
            _check_text(body.label, "label", LONGEST_LABEL)
            return parse_conditions(body.conditions)
        if isinstance(body, SpawnCall):
            if len(body.children) > MAX_CHILDREN:
                raise InvalidArgument(f"at most {MAX_CHILDREN} children can be started at once")
            for child in body.children:
                _check_text(child.workflow_name, "name")
                _check_text(child.child_key, "child_key")
    except InvalidArgument as error:
        return Refused(str(error))
    return []


def _check_text(text: str | None, name: str, limit: int | None = None) -> None:
    if text and "\0" in text:
        raise InvalidArgument(f"{name} contains a null character")
    if text and limit and len(text) > limit:
        raise InvalidArgument(f"{name} is longer than {limit} characters")


def _ranges(calls: Sequence[Call], logs: Logs) -> list[NodeRange]:
    """Return the places these calls may come to, and those they name.

    The first invocation of a task has nothing ahead of it.
    """
    counts = _counts(calls, logs)
    named = [
        (call.task_id, call.body.node)
        for call in calls
        if isinstance(call.body, MemoResult) and call.task_id in logs
    ]
    return at(named) + [
        NodeRange(task_id, *piece)
        for task_id, count in counts.items()
        for piece in logs[task_id].log.state.ahead(1, count)
    ]


def _counts(calls: Sequence[Call], logs: Logs) -> dict[UUID, int]:
    """Return how many nodes ahead these calls may come to, of tasks that have been there before."""
    counts: dict[UUID, int] = defaultdict(int)
    for call in calls:
        if call.task_id in logs and logs[call.task_id].log.state.has_nodes_ahead:
            if isinstance(call.body, SpawnCall):
                counts[call.task_id] += len(call.body.children)
            elif not isinstance(call.body, MemoResult):
                counts[call.task_id] += 1
    return counts


def _keys(calls: Sequence[Call], logs: Logs) -> set[LogKey]:
    return {
        (call.task_id, key)
        for call in calls
        if isinstance(call.body, SpawnCall) and call.task_id in logs
        for child in call.body.children
        if (key := dedupe_key(child.child_key, child.child_index))
    }


# Taking them


def _find_turn(
    call: Call, conditions: Conditions, logs: Logs, following: _Following
) -> Operation[AnswerBody]:
    """Take a call, wherever it was in the invocations before."""
    if call.task_id not in logs:
        return Unknown()
    log = logs[call.task_id].log
    body = _take(call, conditions, logs, following)
    if isinstance(body, Incomplete):
        yield from load_rest(log, may_change_places=call.is_of_branch)
        body = _take(call, conditions, logs, following)
        assert not isinstance(body, Incomplete)
    if log.outlines:
        yield from fill_outlines(log, _nodes(call, body))
        if isinstance(body, MemoAnswer) and body.existed:
            body = log.memo_answer(body.node)
    return body


def _take(
    call: Call, conditions: Conditions, logs: Logs, following: _Following
) -> AnswerBody | Incomplete:
    found = logs[call.task_id]
    if found.task.tenant_id != call.tenant_id:
        return Unknown()
    log, body = found.log, call.body
    if isinstance(body, MemoResult):
        return log.keep_memo(body.node, body.payload, call.invocation)
    if not found.serves(call.invocation):
        return Stale()
    log.delivered_order = call.delivered_order
    if isinstance(body, MemoCall):
        return log.memo(body.key)
    known = len(log.created)
    if isinstance(body, SpawnCall):
        answer = log.spawn(body.children, repeated_id)
        new = {entry.node for entry in log.created[known:]}
        if isinstance(answer, SpawnAnswer):
            for child, (node, run_id) in zip(body.children, answer.children, strict=True):
                if node in new:
                    new.discard(node)
                    following.spawned.append(Spawned(found, node, run_id, child))
        return answer
    answer = log.wait(body.conditions, body.label)
    for entry in log.created[known:]:
        following.waits += [
            NewWait(call.task_id, entry.node, ordinal, call.tenant_id, condition)
            for ordinal, condition in enumerate(conditions)
        ]
    return answer


def _completions(found: OpenLog | None, call: Call, body: AnswerBody) -> tuple[Completion, ...]:
    """Return what is to be sent right after the answer."""
    if found is None:
        return ()
    completions = (found.log.completion(node) for node in dict.fromkeys(_nodes(call, body)))
    return tuple(completion for completion in completions if completion is not None)


def _nodes(call: Call, body: AnswerBody) -> Iterator[Node]:
    if isinstance(body, MemoAnswer | WaitAnswer):
        yield body.node
    elif isinstance(body, SpawnAnswer):
        yield from (node for node, _ in body.children)
    elif isinstance(body, Stored) and isinstance(call.body, MemoResult):
        yield call.body.node
