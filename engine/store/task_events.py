"""Statements of engine/sql/task_event.sql: the event log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import new_id
from engine.states import TaskEventKind
from engine.store.query import Query, no_row


class NewTaskEvent(NamedTuple):
    run_id: UUID
    task_id: UUID
    retry_count: int
    kind: TaskEventKind
    message: str = ""
    worker_id: UUID | None = None


def insert(events: Sequence[NewTaskEvent], now: datetime) -> Query[None]:
    return Query(
        "task_event.insert",
        {
            "now": now,
            "ids": [new_id() for _ in events],
            "run_ids": [e.run_id for e in events],
            "task_ids": [e.task_id for e in events],
            "retry_counts": [e.retry_count for e in events],
            "kinds": [int(e.kind) for e in events],
            "worker_ids": [e.worker_id for e in events],
            "messages": [e.message for e in events],
        },
        no_row,
    )
