"""Waits of the older API for durable tasks: they have a key per task instead of a place in the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engine.domain.cel.answers import asking_for
from engine.domain.durable.calls import SIGNAL_BRANCH, Completion, WaitCondition
from engine.domain.durable.log import Log
from engine.domain.durable.waits import parse_conditions
from engine.errors import InvalidArgument, NotFound
from engine.operations.durable.begin_waits import begin_waits
from engine.operations.durable.locked_logs import load_entries, lock_logs, write_logs
from engine.store import durable_entries, durable_tasks
from engine.store.changes import Changes
from engine.store.durable_entries import NodeRange
from engine.store.durable_waits import NewWait
from engine.store.query import Operation, fetch, fetch_all, repeatable

LONGEST_KEY = 500
_LAST_NODE = (1 << 63) - 1


@repeatable
def register_signal(
    tenant_id: UUID,
    task_id: UUID,
    signal_key: str,
    conditions: Sequence[WaitCondition],
    now: datetime,
) -> Operation[None]:
    """Begin to wait under a key; one that is known changes nothing. NotFound if the task is unknown.

    Scopes and windows of conditions do not count here.
    """
    if len(signal_key) > LONGEST_KEY or "\0" in signal_key:
        raise InvalidArgument(f"signal_key must have at most {LONGEST_KEY} characters, none null")
    asking_for(tenant_id)
    parsed = parse_conditions([c._replace(scope=None, since=None) for c in conditions])
    found = yield from fetch(durable_tasks.states([task_id]))
    if not found or found[0].tenant_id != tenant_id:
        raise NotFound(f"task {task_id} not found")
    yield from fetch(durable_tasks.ensure(task_id, tenant_id))
    logs = yield from lock_logs([task_id])
    yield from load_entries(logs, [NodeRange(task_id, SIGNAL_BRANCH, 1, _LAST_NODE)])
    log = logs[task_id].log
    node = log.register(signal_key, conditions)
    if node is None:
        return
    waits = [
        NewWait(task_id, node, ordinal, tenant_id, condition)
        for ordinal, condition in enumerate(parsed)
    ]
    queries = yield from begin_waits(waits, logs, now)
    yield from write_logs(logs, now, *queries)
    if completion := log.completion(node):
        yield Changes(completions=[(tenant_id, completion)])


def load_signals(tenant_id: UUID, pairs: Sequence[tuple[UUID, str]]) -> Operation[list[Completion]]:
    """Return what is satisfied of these (task, signal key); unknown ones are left out."""
    if not pairs:
        return []
    ids = sorted({task_id for task_id, _ in pairs})
    rows, entries = yield from fetch_all(
        durable_tasks.read(ids), durable_entries.with_keys(sorted(set(pairs)))
    )
    logs = {row.task_id: Log(row.task_id, row.state) for row in rows if row.tenant_id == tenant_id}
    found = []
    for task_id, entry in entries:
        if task_id in logs and entry.node.branch_id == SIGNAL_BRANCH:
            logs[task_id].add_known(entry)
            if completion := logs[task_id].completion(entry.node):
                found.append(completion)
    return found
