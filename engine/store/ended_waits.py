"""Statements of engine/sql/ended_wait.sql: what events ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.durable.calls import Node
from engine.ids import new_id
from engine.store.query import Query, no_row, the_value


class EndedByEvent(NamedTuple):
    """A condition of an entry in a durable log, and the event that met it."""

    tenant_id: UUID
    event_id: UUID
    run_id: UUID
    task_id: UUID
    node: Node
    ordinal: int


def insert(ended: Sequence[EndedByEvent], now: datetime) -> Query[None]:
    return Query(
        "ended_wait.insert",
        {
            "now": now,
            "ids": [new_id() for _ in ended],
            "tenant_ids": [e.tenant_id for e in ended],
            "event_ids": [e.event_id for e in ended],
            "run_ids": [e.run_id for e in ended],
            "task_ids": [e.task_id for e in ended],
            "branch_ids": [e.node.branch_id for e in ended],
            "node_ids": [e.node.node_id for e in ended],
            "ordinals": [e.ordinal for e in ended],
        },
        no_row,
    )


def forget(before: UUID) -> Query[UUID]:
    return Query("ended_wait.forget", {"before": before}, the_value)
