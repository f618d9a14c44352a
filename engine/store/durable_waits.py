"""Statements of engine/sql/durable_wait.sql: the sleeps and events durable tasks wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Node
from engine.domain.durable.waits import Condition, Met
from engine.store.query import Query, no_row


class NewWait(NamedTuple):
    """`payload` and `event_id` are the event, pushed before, that meets the condition from the start."""

    task_id: UUID
    node: Node
    ordinal: int
    tenant_id: UUID
    condition: Condition
    is_met: bool = False
    payload: bytes | None = None
    event_id: UUID | None = None


class OpenWait(NamedTuple):
    """A condition that something may have met."""

    task_id: UUID
    branch_id: int
    node_id: int
    ordinal: int
    source: str
    expression: str
    scope: str | None

    @property
    def node(self) -> Node:
        return Node(self.branch_id, self.node_id)


class MetWait(NamedTuple):
    """A condition that is met; `payload` is the event that met it, None for a sleep."""

    task_id: UUID
    node: Node
    ordinal: int
    payload: bytes | None = None
    event_id: UUID | None = None


class WaitState(NamedTuple):
    task_id: UUID
    node: Node
    ordinal: int
    met: Met


class LookBack(NamedTuple):
    """A search for an event; `limit` events before the id are returned, newest first."""

    number: int
    tenant_id: UUID
    key: str
    scope: str
    since: datetime
    since_id: UUID
    before_id: UUID
    limit: int


class Found(NamedTuple):
    number: int
    event_id: UUID
    payload: bytes | None


def insert(waits: Sequence[NewWait], now: datetime) -> Query[None]:
    return Query(
        "durable_wait.insert",
        {
            "now": now,
            "task_ids": [w.task_id for w in waits],
            "branch_ids": [w.node.branch_id for w in waits],
            "node_ids": [w.node.node_id for w in waits],
            "ordinals": [w.ordinal for w in waits],
            "tenant_ids": [w.tenant_id for w in waits],
            "groups": [w.condition.group for w in waits],
            "events": [w.condition.is_event for w in waits],
            "sources": [w.condition.source for w in waits],
            "data_keys": [w.condition.data_key for w in waits],
            "expressions": [w.condition.expression for w in waits],
            "scopes": [w.condition.scope for w in waits],
            "since": [w.condition.since for w in waits],
            "sleeps": [w.condition.seconds for w in waits],
            "met": [w.is_met for w in waits],
            "payloads": [w.payload for w in waits],
        },
        no_row,
    )


def lock_scopes(scopes: Sequence[str]) -> Query[None]:
    return Query("durable_wait.lock_scopes", {"scopes": list(scopes)}, no_row)


def share_scopes(scopes: Sequence[str]) -> Query[None]:
    return Query("durable_wait.share_scopes", {"scopes": list(scopes)}, no_row)


def scope_lock(tenant_id: UUID, scope: str) -> str:
    """Return what `lock_scopes` and `share_scopes` call a scope of a tenant."""
    return f"hatchet.scope:{tenant_id}:{scope}"


def look_back(searches: Sequence[LookBack]) -> Query[Found]:
    return Query(
        "durable_wait.look_back",
        {
            "numbers": [s.number for s in searches],
            "tenant_ids": [s.tenant_id for s in searches],
            "keys": [s.key for s in searches],
            "scopes": [s.scope for s in searches],
            "since": [s.since for s in searches],
            "since_ids": [s.since_id for s in searches],
            "before_ids": [s.before_id for s in searches],
            "limits": [s.limit for s in searches],
        },
        Found,
    )


def for_events(tenant_id: UUID, keys: Sequence[str]) -> Query[OpenWait]:
    return Query("durable_wait.for_events", {"tenant_id": tenant_id, "keys": list(keys)}, OpenWait)


def due(tenant_ids: Sequence[UUID], now: datetime, limit: int) -> Query[OpenWait]:
    params = {"tenant_ids": list(tenant_ids), "now": now, "limit": limit}
    return Query("durable_wait.due", params, OpenWait)


def postpone(task_id: UUID, node: Node, ordinal: int, until: datetime) -> Query[None]:
    params = {
        "task_id": task_id,
        "branch_id": node.branch_id,
        "node_id": node.node_id,
        "ordinal": ordinal,
        "until": until,
    }
    return Query("durable_wait.postpone", params, no_row)


def _state(  # one argument a column
    task_id: UUID,
    branch_id: int,
    node_id: int,
    ordinal: int,
    group: int,
    is_event: bool,
    source: str,
    data_key: str,
    is_met: bool,
    payload: bytes | None,
) -> WaitState:
    met = Met(group, is_event, source, data_key, is_met, bytes(payload) if payload else None)
    return WaitState(task_id, Node(branch_id, node_id), ordinal, met)


def _addresses(entries: Sequence[tuple[UUID, Node]]) -> dict[str, object]:
    return {
        "task_ids": [task_id for task_id, _ in entries],
        "branch_ids": [node.branch_id for _, node in entries],
        "node_ids": [node.node_id for _, node in entries],
    }


def of_entries(entries: Sequence[tuple[UUID, Node]]) -> Query[WaitState]:
    return Query("durable_wait.of_entries", _addresses(entries), _state)


def satisfy(waits: Sequence[MetWait], tenant_of: Mapping[UUID, UUID], now: datetime) -> Query[None]:
    """`tenant_of` says whose each task is, whose key payloads are encrypted with."""
    params = _addresses([(w.task_id, w.node) for w in waits]) | {
        "now": now,
        "tenant_ids": [tenant_of[w.task_id] for w in waits],
        "ordinals": [w.ordinal for w in waits],
        "payloads": [w.payload for w in waits],
    }
    return Query("durable_wait.satisfy", params, no_row)


def forget(entries: Sequence[tuple[UUID, Node]]) -> Query[None]:
    return Query("durable_wait.forget", _addresses(entries), no_row)


def nodes(task_id: UUID) -> Query[Node]:
    return Query("durable_wait.nodes", {"task_id": task_id}, Node)


def drop(task_id: UUID, dropped: Sequence[tuple[Node, bool]]) -> Query[None]:
    """`dropped` are nodes, and whether what they wait for is out of account."""
    return Query(
        "durable_wait.drop",
        {
            "task_id": task_id,
            "branch_ids": [node.branch_id for node, _ in dropped],
            "node_ids": [node.node_id for node, _ in dropped],
            "dropped": [is_dropped for _, is_dropped in dropped],
        },
        no_row,
    )
