"""Statements of engine/sql/durable_task.sql: the counters of durable tasks' logs, eviction, restoring."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson

from engine.domain.durable.state import Fork, LogState
from engine.ids import new_id
from engine.store.query import Query, no_row, the_value


class LogRow(NamedTuple):
    task_id: UUID
    tenant_id: UUID
    invocation_count: int
    branch_id: int
    node_id: int
    satisfied_order: int
    forks: str | None
    passed_nodes: str | None
    restored_count: int

    @property
    def state(self) -> LogState:
        forks = orjson.loads(self.forks) if self.forks else ()
        return LogState(
            self.invocation_count,
            self.branch_id,
            self.node_id,
            self.satisfied_order,
            tuple(Fork(parent, first) for parent, first in forks),
            None if self.passed_nodes is None else tuple(orjson.loads(self.passed_nodes)),
            self.restored_count,
        )


class TaskState(NamedTuple):
    """A durable task as it stands, with what queues it again."""

    id: UUID
    tenant_id: UUID
    run_id: UUID
    version_id: UUID
    step_id: UUID
    status: int
    is_evicted: bool
    retry_count: int
    assigned_at: datetime | None
    desired_worker_id: UUID | None
    desired_labels: str | None
    concurrency_keys: str | None


class Evict(NamedTuple):
    task_id: UUID
    retry_count: int
    message: str


class EvictedRow(NamedTuple):
    id: UUID
    tenant_id: UUID
    run_id: UUID
    retry_count: int


def _invocation(task_id: UUID, invocation_count: int) -> tuple[UUID, int]:
    return task_id, invocation_count


def begin(tasks: Sequence[tuple[UUID, UUID]]) -> Query[tuple[UUID, int]]:
    """`tasks` are (task id, tenant id)."""
    params = {"task_ids": [t[0] for t in tasks], "tenant_ids": [t[1] for t in tasks]}
    return Query("durable_task.begin", params, _invocation)


def ensure(task_id: UUID, tenant_id: UUID) -> Query[None]:
    return Query("durable_task.ensure", {"task_id": task_id, "tenant_id": tenant_id}, no_row)


def lock(task_ids: Sequence[UUID]) -> Query[LogRow]:
    return Query("durable_task.lock", {"task_ids": list(task_ids)}, LogRow)


def read(task_ids: Sequence[UUID]) -> Query[LogRow]:
    return Query("durable_task.read", {"task_ids": list(task_ids)}, LogRow)


def states(task_ids: Sequence[UUID]) -> Query[TaskState]:
    return Query("durable_task.states", {"task_ids": list(task_ids)}, TaskState)


def save(logs: Sequence[tuple[UUID, LogState]]) -> Query[None]:
    return Query(
        "durable_task.save",
        {
            "task_ids": [task_id for task_id, _ in logs],
            "branch_ids": [state.branch_id for _, state in logs],
            "node_ids": [state.node_id for _, state in logs],
            "satisfied_orders": [state.satisfied_order for _, state in logs],
            "forks": [
                orjson.dumps(state.forks, default=tuple).decode() if state.forks else None
                for _, state in logs
            ],
            "passed": [
                None if state.passed is None else orjson.dumps(state.passed).decode()
                for _, state in logs
            ],
            "restored_counts": [state.restored for _, state in logs],
        },
        no_row,
    )


def invocations(task_ids: Sequence[UUID]) -> Query[tuple[UUID, int]]:
    return Query("durable_task.invocations", {"task_ids": list(task_ids)}, _invocation)


class Delivery(NamedTuple):
    """The invocation in which an attempt of a task was delivered last."""

    task_id: UUID
    retry_count: int
    invocation: int


def deliveries(attempts: Sequence[tuple[UUID, int]]) -> Query[Delivery]:
    """`attempts` are (task, retry count): the present attempt of a task, or the one before."""
    return Query(
        "durable_task.deliveries",
        {"task_ids": [a[0] for a in attempts], "retry_counts": [a[1] for a in attempts]},
        Delivery,
    )


def evict(tasks: Sequence[Evict], now: datetime) -> Query[EvictedRow]:
    return Query(
        "durable_task.evict",
        {
            "now": now,
            "task_ids": [t.task_id for t in tasks],
            "retry_counts": [t.retry_count for t in tasks],
            "event_ids": [new_id() for _ in tasks],
            "messages": [t.message for t in tasks],
        },
        EvictedRow,
    )


def restore(tasks: Sequence[tuple[UUID, float]], message: str, now: datetime) -> Query[UUID]:
    """`tasks` are (task id, schedule timeout in seconds)."""
    return Query(
        "durable_task.restore",
        {
            "now": now,
            "task_ids": [t[0] for t in tasks],
            "timeouts": [t[1] for t in tasks],
            "event_ids": [new_id() for _ in tasks],
            "message": message,
        },
        the_value,
    )
