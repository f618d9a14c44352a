"""What workers say they wait for: children get their order, and completions are looked up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Completion, Node, Stale
from engine.domain.durable.log import Log
from engine.domain.durable.state import Entry
from engine.operations.durable.locked_logs import (
    Logs,
    OpenLog,
    at,
    load_entries,
    lock_logs,
    write_logs,
)
from engine.states import DurableKind
from engine.store import durable_entries, durable_tasks
from engine.store.query import Operation, fetch_all


class Waiting(NamedTuple):
    """That an invocation waits for the entry at a node."""

    tenant_id: UUID
    task_id: UUID
    invocation: int
    node: Node


def await_nodes(
    waiting: Sequence[Waiting], now: datetime
) -> Operation[list[Completion | Stale | None]]:
    """Return, for each, the completion, or that the invocation is to stop, or None while it is pending.

    A node that is not in the log is pending for ever.
    """
    if not waiting:
        return []
    logs = yield from _read(waiting)
    unrecorded = {
        item.task_id
        for item in waiting
        if item.task_id in logs
        and logs[item.task_id].serves(item.invocation)
        and _is_unrecorded(logs[item.task_id].log, item.node)
    }
    if unrecorded:
        logs |= yield from _note([item for item in waiting if item.task_id in unrecorded], now)
    return [_answer(item, logs.get(item.task_id)) for item in waiting]


def _read(waiting: Sequence[Waiting]) -> Operation[dict[UUID, OpenLog]]:
    """Read without a lock: nearly always nothing is to be written."""
    ids = sorted({item.task_id for item in waiting})
    rows, states, entries = yield from fetch_all(
        durable_tasks.read(ids),
        durable_tasks.states(ids),
        durable_entries.in_ranges(at((item.task_id, item.node) for item in waiting)),
    )
    task_of = {task.id: task for task in states}
    logs = {
        row.task_id: OpenLog(Log(row.task_id, row.state), task_of[row.task_id], row.state)
        for row in rows
        if row.task_id in task_of
    }
    for task_id, entry in entries:
        if task_id in logs:
            logs[task_id].log.add_known(entry)
    return logs


def _is_unrecorded(log: Log, node: Node) -> bool:
    entry: Entry | None = log.entries.get(node)
    if entry is None or not log.state.is_active(node):
        return False
    needs_order = entry.is_satisfied and entry.order is None
    if entry.kind is DurableKind.RUN:
        return not entry.is_awaited or needs_order
    return entry.kind is DurableKind.WAIT_FOR and needs_order


def _note(waiting: Sequence[Waiting], now: datetime) -> Operation[dict[UUID, OpenLog]]:
    logs: Logs
    logs = yield from lock_logs(item.task_id for item in waiting)
    yield from load_entries(logs, at((item.task_id, item.node) for item in waiting))
    for item in waiting:
        found = logs.get(item.task_id)
        if found and found.serves(item.invocation) and found.log.state.is_active(item.node):
            found.log.await_node(item.node)
    yield from write_logs(logs, now)
    return dict(logs)


def _answer(item: Waiting, found: OpenLog | None) -> Completion | Stale | None:
    if found is None or found.task.tenant_id != item.tenant_id:
        return Stale()
    if not found.serves(item.invocation):
        return Stale()
    return found.log.completion(item.node)
