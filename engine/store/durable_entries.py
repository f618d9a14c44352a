"""Statements of engine/sql/durable_entry.sql and ended_child.sql: the calls durable tasks made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Node
from engine.domain.durable.order import Mark
from engine.domain.durable.state import Entry
from engine.states import DurableKind
from engine.store.query import Query, no_row, the_value

TaskEntry = tuple[UUID, Entry]
"""(task id, entry)."""


class NodeRange(NamedTuple):
    """Nodes of one branch, both ends included."""

    task_id: UUID
    branch_id: int
    first_node: int
    last_node: int


class Order(NamedTuple):
    task_id: UUID
    branch_id: int
    node_id: int
    order: int


class Reach(NamedTuple):
    """The nodes of a branch whose calls were made when `order` was the last one told: first and last."""

    task_id: UUID
    branch_id: int
    order: int
    first_node: int
    last_node: int


class EndedChild(NamedTuple):
    run_id: UUID
    tenant_id: UUID
    task_id: UUID


def _entry(  # one argument a column
    task_id: UUID,
    branch_id: int,
    node_id: int,
    kind: int,
    identity: bytes,
    description: str,
    detail: str | None,
    label: str | None,
    dedupe_key: str | None,
    child_run_id: UUID | None,
    is_awaited: bool,
    is_satisfied: bool,
    satisfied_order: int | None,
    result: bytes | None,
    error: str | None,
) -> TaskEntry:
    return task_id, Entry(
        Node(branch_id, node_id),
        DurableKind(kind),
        bytes(identity),
        description,
        detail,
        label,
        dedupe_key,
        child_run_id,
        is_awaited,
        is_satisfied,
        satisfied_order,
        bytes(result or b""),
        error,
    )


def _mark(
    branch_id: int,
    node_id: int,
    kind: int,
    is_awaited: bool,
    recorded_after: int | None,
    satisfied_order: int | None,
    created_at: datetime,
    satisfied_at: datetime | None,
) -> Mark:
    return Mark(
        Node(branch_id, node_id),
        DurableKind(kind),
        is_awaited,
        recorded_after,
        satisfied_order,
        created_at,
        satisfied_at,
    )


def in_ranges(ranges: Sequence[NodeRange]) -> Query[TaskEntry]:
    return Query("durable_entry.in_ranges", _range_columns(ranges), _entry)


def outlines(ranges: Sequence[NodeRange]) -> Query[TaskEntry]:
    """The same entries, without results and errors."""
    return Query("durable_entry.outlines", _range_columns(ranges), _entry)


def _range_columns(ranges: Sequence[NodeRange]) -> dict[str, Any]:
    return {
        "task_ids": [r.task_id for r in ranges],
        "branch_ids": [r.branch_id for r in ranges],
        "first_nodes": [r.first_node for r in ranges],
        "last_nodes": [r.last_node for r in ranges],
    }


def with_keys(keys: Sequence[tuple[UUID, str]]) -> Query[TaskEntry]:
    """`keys` are (task id, key)."""
    params = {"task_ids": [k[0] for k in keys], "keys": [k[1] for k in keys]}
    return Query("durable_entry.with_keys", params, _entry)


def of_children(children: Sequence[EndedChild]) -> Query[TaskEntry]:
    return Query(
        "durable_entry.of_children",
        {"task_ids": [c.task_id for c in children], "run_ids": [c.run_id for c in children]},
        _entry,
    )


def satisfied_since(tasks: Sequence[tuple[UUID, datetime]]) -> Query[UUID]:
    """`tasks` are (task id, moment)."""
    params = {"task_ids": [t[0] for t in tasks], "since": [t[1] for t in tasks]}
    return Query("durable_entry.satisfied_since", params, the_value)


def orders(task_ids: Sequence[UUID]) -> Query[Order]:
    return Query("durable_entry.orders", {"task_ids": list(task_ids)}, Order)


def reaches(task_ids: Sequence[UUID]) -> Query[Reach]:
    return Query("durable_entry.reaches", {"task_ids": list(task_ids)}, Reach)


def marks(task_id: UUID) -> Query[Mark]:
    return Query("durable_entry.marks", {"task_id": task_id}, _mark)


def insert(
    entries: Sequence[TaskEntry], tenant_of: Mapping[UUID, UUID], now: datetime
) -> Query[None]:
    """`tenant_of` says whose each task is, whose key results are encrypted with."""
    return Query(
        "durable_entry.insert",
        {
            "now": now,
            "tenant_ids": [tenant_of[task_id] for task_id, _ in entries],
            "task_ids": [task_id for task_id, _ in entries],
            "branch_ids": [e.node.branch_id for _, e in entries],
            "node_ids": [e.node.node_id for _, e in entries],
            "kinds": [int(e.kind) for _, e in entries],
            "identities": [e.identity for _, e in entries],
            "descriptions": [e.description for _, e in entries],
            "details": [e.detail for _, e in entries],
            "labels": [e.label for _, e in entries],
            "dedupe_keys": [e.dedupe_key for _, e in entries],
            "child_run_ids": [e.child_run_id for _, e in entries],
            "awaited": [e.is_awaited for _, e in entries],
            "satisfied": [e.is_satisfied for _, e in entries],
            "satisfied_orders": [e.order for _, e in entries],
            "recorded_after": [e.recorded_after for _, e in entries],
            "results": [e.result if e.is_satisfied else None for _, e in entries],
            "errors": [e.error for _, e in entries],
        },
        no_row,
    )


def update(
    entries: Sequence[TaskEntry], tenant_of: Mapping[UUID, UUID], now: datetime
) -> Query[None]:
    return Query(
        "durable_entry.update",
        {
            "now": now,
            "tenant_ids": [tenant_of[task_id] for task_id, _ in entries],
            "task_ids": [task_id for task_id, _ in entries],
            "branch_ids": [e.node.branch_id for _, e in entries],
            "node_ids": [e.node.node_id for _, e in entries],
            "awaited": [e.is_awaited for _, e in entries],
            "satisfied_orders": [e.order for _, e in entries],
            "outcomes": [e.has_new_outcome for _, e in entries],
            "results": [e.result if e.has_new_outcome else None for _, e in entries],
            "errors": [e.error if e.has_new_outcome else None for _, e in entries],
        },
        no_row,
    )


def take_ended(
    tenant_ids: Sequence[UUID], limit: int, but: Collection[UUID] = ()
) -> Query[EndedChild]:
    return Query("ended_child.take", _ended(tenant_ids, limit, but), EndedChild)


def take_ended_of(run_ids: Sequence[UUID]) -> Query[EndedChild]:
    return Query("ended_child.take_of", {"run_ids": list(run_ids)}, EndedChild)


def ended_ids(tenant_ids: Sequence[UUID], limit: int, but: Collection[UUID] = ()) -> Query[UUID]:
    return Query("ended_child.ids", _ended(tenant_ids, limit, but), the_value)


def _ended(tenant_ids: Sequence[UUID], limit: int, but: Collection[UUID]) -> dict[str, Any]:
    return {"tenant_ids": list(tenant_ids), "limit": limit, "but": list(but)}
