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
    at: datetime | None = None
    """When, if not now."""
    id: UUID | None = None
    """Made when it is written, if it is not known before."""


class SentNote(NamedTuple):
    """A START that went over its worker's stream; `at` in seconds since the epoch."""

    id: UUID
    run_id: UUID
    task_id: UUID
    retry_count: int
    at: float
    worker_id: UUID


class WaitingNote(NamedTuple):
    """What a queued attempt waits for; `at` in seconds since the epoch."""

    id: UUID
    task_id: UUID
    retry_count: int
    kind: TaskEventKind
    at: float
    message: str


class End(NamedTuple):
    """What the log says last of the end of a task's attempts."""

    task_id: UUID
    kind: int
    message: str


def insert(events: Sequence[NewTaskEvent], now: datetime) -> Query[None]:
    return Query(
        "task_event.insert",
        {
            "now": now,
            "ids": [e.id or new_id() for e in events],
            "run_ids": [e.run_id for e in events],
            "task_ids": [e.task_id for e in events],
            "retry_counts": [e.retry_count for e in events],
            "kinds": [int(e.kind) for e in events],
            "worker_ids": [e.worker_id for e in events],
            "messages": [e.message for e in events],
            "ats": [e.at for e in events],
        },
        no_row,
    )


def insert_sent(notes: Sequence[SentNote]) -> Query[None]:
    return Query(
        "task_event.insert_sent",
        {
            "ids": [n.id for n in notes],
            "run_ids": [n.run_id for n in notes],
            "task_ids": [n.task_id for n in notes],
            "retry_counts": [n.retry_count for n in notes],
            "ats": [n.at for n in notes],
            "worker_ids": [n.worker_id for n in notes],
        },
        no_row,
    )


def insert_waiting(notes: Sequence[WaitingNote]) -> Query[None]:
    kinds = {"kinds": [int(n.kind) for n in notes]}
    return Query("task_event.insert_waiting", _waiting(notes) | kinds, no_row)


def insert_refused(notes: Sequence[WaitingNote]) -> Query[None]:
    return Query("task_event.insert_refused", _waiting(notes), no_row)


def _waiting(notes: Sequence[WaitingNote]) -> dict[str, object]:
    return {
        "ids": [n.id for n in notes],
        "task_ids": [n.task_id for n in notes],
        "retry_counts": [n.retry_count for n in notes],
        "ats": [n.at for n in notes],
        "messages": [n.message for n in notes],
    }


def ends(
    run_ids: Sequence[UUID], task_ids: Sequence[UUID], kinds: Sequence[int], size: int
) -> Query[End]:
    """`kinds` are those that say that an attempt ended, `size` how much of a message is wanted."""
    params = {
        "run_ids": list(run_ids),
        "task_ids": list(task_ids),
        "kinds": list(kinds),
        "size": size,
    }
    return Query("task_event.ends", params, End)
