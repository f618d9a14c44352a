"""The logs of durable tasks within a transaction: locked, loaded as far as needed, written back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from engine.domain.durable.calls import Node
from engine.domain.durable.log import Log
from engine.domain.durable.order import run_side_by_side
from engine.domain.durable.state import END, Entry, LogState
from engine.operations.parts.versions import load_versions, ready_task, step_of
from engine.states import RETRY_QUEUE_PRIORITY, Status
from engine.store import durable_entries, durable_tasks
from engine.store.changes import Changes
from engine.store.durable_entries import NodeRange, TaskEntry
from engine.store.durable_tasks import TaskState
from engine.store.query import Operation, Query, fetch, fetch_all, fetch_last

Item = TypeVar("Item")

WRITTEN_AT_ONCE_BYTES = 16 * 1024 * 1024

LogKey = tuple[UUID, str]
"""(task, what makes a child unique under it)."""


@dataclass(slots=True)
class OpenLog:
    """A log this transaction has locked, and how its task stands."""

    log: Log
    task: TaskState
    before: LogState

    @property
    def is_on_worker(self) -> bool:
        return self.task.status == Status.RUNNING and not self.task.is_evicted

    @property
    def is_evicted(self) -> bool:
        return self.task.status == Status.RUNNING and self.task.is_evicted

    def serves(self, invocation: int) -> bool:
        """Say whether this invocation is the present one and runs on a worker."""
        return self.is_on_worker and self.log.state.invocation == invocation


Logs = Mapping[UUID, OpenLog]


def lock_logs(task_ids: Iterable[UUID]) -> Operation[dict[UUID, OpenLog]]:
    """Lock the logs of these tasks, in id order; tasks without one are left out."""
    ids = sorted(set(task_ids))
    if not ids:
        return {}
    rows, states = yield from fetch_all(durable_tasks.lock(ids), durable_tasks.states(ids))
    task_of: dict[UUID, TaskState] = {task.id: task for task in states}
    return {
        row.task_id: OpenLog(Log(row.task_id, row.state), task_of[row.task_id], row.state)
        for row in rows
        if row.task_id in task_of
    }


def load_entries(
    logs: Logs, ranges: Sequence[NodeRange], keys: Collection[LogKey] = ()
) -> Operation[None]:
    """Load entries of these nodes and keys into their logs."""
    queries: list[Query[Any]] = [durable_entries.in_ranges(ranges)] if ranges else []
    if keys:
        queries.append(durable_entries.with_keys(sorted(keys)))
    if not queries:
        return
    for rows in (yield from fetch_all(*queries)):
        add_entries(logs, rows)


def load_rest(log: Log, *, may_change_places: bool) -> Operation[None]:
    """Load outlines of all entries to come; find out, if need be, whether their calls may change places."""
    state = log.state
    to_come = at((log.task_id, state.place(node_id)) for node_id in state.passed or ())
    to_come += [NodeRange(log.task_id, *piece) for piece in state.ahead(1, END)]
    found = yield from fetch(durable_entries.outlines(to_come))
    if not may_change_places and state.passed is None:
        marks = yield from fetch(durable_entries.marks(log.task_id))
        may_change_places = run_side_by_side(marks, state)
    log.add_rest((entry for _, entry in found), may_change_places=may_change_places)


def fill_outlines(log: Log, nodes: Iterable[Node]) -> Operation[None]:
    """Load what these entries came to, of those that are known in outline."""
    wanted = at((log.task_id, node) for node in nodes if node in log.outlines)
    if wanted:
        for _, entry in (yield from fetch(durable_entries.in_ranges(wanted))):
            log.fill(entry)


def add_entries(logs: Logs, rows: Iterable[tuple[UUID, Entry]]) -> None:
    for task_id, entry in rows:
        logs[task_id].log.add_known(entry)


def at(entries: Iterable[tuple[UUID, Node]]) -> list[NodeRange]:
    """Return ranges of single nodes."""
    return [
        NodeRange(task_id, node.branch_id, node.node_id, node.node_id)
        for task_id, node in sorted(set(entries))
    ]


def write_logs(
    logs: Logs, now: datetime, *along: Query[Any], is_last: bool = False
) -> Operation[None]:
    """Write what is new in these logs, and other queries along with it.

    Outcomes are written in parts, so that a large event that many wait for fits into memory.

    `is_last` says that the operation around it asks for nothing more, which saves a round trip.
    """
    created = [(task_id, entry) for task_id, found in logs.items() for entry in found.log.created]
    changed = [
        (task_id, entry) for task_id, found in logs.items() for entry in found.log.changed.values()
    ]
    moved = [
        (task_id, found.log.state)
        for task_id, found in logs.items()
        if found.log.state != found.before
    ]
    queries = [*along, *([durable_tasks.save(moved)] if moved else [])]
    owners = {task_id: found.task.tenant_id for task_id, found in logs.items()}
    parts = [durable_entries.insert(part, owners, now) for part in in_parts(created, _size)]
    parts += [durable_entries.update(part, owners, now) for part in in_parts(changed, _size)]
    for part in parts[1:]:
        yield from fetch(part)
    queries += parts[:1]
    if queries:
        yield from fetch_last(*queries) if is_last else fetch_all(*queries)


def _size(entry: TaskEntry) -> int:
    return len(entry[1].result)


def in_parts(items: Sequence[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Split what is to be written into parts of a bounded size."""
    part: list[Item] = []
    total = 0
    for item in items:
        size = size_of(item)
        if part and total + size > WRITTEN_AT_ONCE_BYTES:
            yield part
            part, total = [], 0
        part.append(item)
        total += size
    if part:
        yield part


def restore(logs: Iterable[OpenLog], cause: str, now: datetime) -> Operation[None]:
    """Queue those of these tasks that are evicted, in the attempt they are in."""
    tasks = {found.task.id: found.task for found in logs if found.is_evicted}
    if not tasks:
        return
    versions = yield from load_versions(task.version_id for task in tasks.values())
    steps = {
        task.id: step_of(versions[task.version_id], task.step_id).definition
        for task in tasks.values()
    }
    wanted = [(task_id, steps[task_id].schedule_timeout_seconds) for task_id in sorted(tasks)]
    message = f"Restoring evicted task: {cause}"
    restored = yield from fetch(durable_tasks.restore(wanted, message, now))
    changes = Changes(wakes_clock=bool(restored))
    for task_id in restored:
        task = tasks[task_id]
        ready = ready_task(
            versions[task.version_id],
            task.id,
            task.step_id,
            retry_count=task.retry_count,
            priority=RETRY_QUEUE_PRIORITY,
            desired_worker_id=task.desired_worker_id,
            desired_labels=task.desired_labels,
            concurrency_keys=task.concurrency_keys,
            is_restored=True,
        )
        changes.ready.append((task.tenant_id, ready))
        changes.touched.add((task.tenant_id, task.run_id))
    yield changes
