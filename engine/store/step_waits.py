"""Statements of engine/sql/step_wait.sql: sleeps and events that steps wait for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import new_id
from engine.store.query import Query, no_row, the_value


class NewWait(NamedTuple):
    """`sleep_seconds` None means that time alone never satisfies it."""

    task_id: UUID
    ordinal: int
    tenant_id: UUID
    run_id: UUID
    version_id: UUID
    step_id: UUID
    event_key: str | None
    sleep_seconds: float | None


class WaitState(NamedTuple):
    task_id: UUID
    ordinal: int
    is_satisfied: bool


class WaitRow(NamedTuple):
    task_id: UUID
    ordinal: int
    tenant_id: UUID
    run_id: UUID
    version_id: UUID
    step_id: UUID
    event_key: str | None


class Satisfied(NamedTuple):
    """A wait that is over; `event_id` is None for a sleep."""

    task_id: UUID
    ordinal: int
    event_id: UUID | None


class WaitData(NamedTuple):
    task_id: UUID
    ordinal: int
    payload: bytes | None


def insert(waits: Sequence[NewWait], now: datetime) -> Query[None]:
    return Query(
        "step_wait.insert",
        {
            "now": now,
            "task_ids": [w.task_id for w in waits],
            "ordinals": [w.ordinal for w in waits],
            "tenant_ids": [w.tenant_id for w in waits],
            "run_ids": [w.run_id for w in waits],
            "version_ids": [w.version_id for w in waits],
            "step_ids": [w.step_id for w in waits],
            "event_keys": [w.event_key for w in waits],
            "sleeps": [w.sleep_seconds for w in waits],
        },
        no_row,
    )


def of_tasks(task_ids: Sequence[UUID]) -> Query[WaitState]:
    return Query("step_wait.of_tasks", {"task_ids": list(task_ids)}, WaitState)


def for_events(tenant_id: UUID, keys: Sequence[str]) -> Query[WaitRow]:
    return Query("step_wait.for_events", {"tenant_id": tenant_id, "keys": list(keys)}, WaitRow)


def due(tenant_ids: Sequence[UUID], now: datetime, limit: int) -> Query[WaitRow]:
    params = {"tenant_ids": list(tenant_ids), "now": now, "limit": limit}
    return Query("step_wait.due", params, WaitRow)


def postpone(task_id: UUID, ordinal: int, until: datetime) -> Query[None]:
    params = {"task_id": task_id, "ordinal": ordinal, "until": until}
    return Query("step_wait.postpone", params, no_row)


def satisfy(waits: Sequence[Satisfied], now: datetime) -> Query[UUID]:
    return Query(
        "step_wait.satisfy",
        {
            "now": now,
            "ids": [new_id() for _ in waits],
            "task_ids": [w.task_id for w in waits],
            "ordinals": [w.ordinal for w in waits],
            "event_ids": [w.event_id for w in waits],
        },
        the_value,
    )


def settle(task_ids: Sequence[UUID]) -> Query[None]:
    return Query("step_wait.settle", {"task_ids": list(task_ids)}, no_row)


def forget(task_ids: Sequence[UUID]) -> Query[None]:
    return Query("step_wait.forget", {"task_ids": list(task_ids)}, no_row)


class OpenWait(NamedTuple):
    task_id: UUID
    event_key: str | None
    due_at: datetime | None


def open_of(task_ids: Sequence[UUID]) -> Query[OpenWait]:
    return Query("step_wait.open", {"task_ids": list(task_ids)}, OpenWait)


def data(task_ids: Sequence[UUID]) -> Query[WaitData]:
    return Query("step_wait.data", {"task_ids": list(task_ids)}, WaitData, is_for_start=True)
