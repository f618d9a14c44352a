"""Statements of engine/sql/outbox.sql: what other programs asked for in their own transactions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value

SMALL = 16 * 1024
"""Data up to this size in bytes come with the row."""


class Wish(NamedTuple):
    """A locked row of the outbox, as far as its kind needs it; see the model.

    `data` are None if they are not SMALL. `version_id` is the latest of a run's workflow, if that is there.
    """

    id: UUID
    tenant_id: UUID
    kind: int
    name: str
    data: bytes | None
    size: int
    metadata: str | None
    priority: int | None
    scope: str | None
    target_id: UUID | None
    trigger_at: datetime | None
    version_id: UUID | None


class Data(NamedTuple):
    id: UUID
    data: bytes


class Woken(NamedTuple):
    """How many rows became ready, and when the next one will."""

    rows: int
    next_due_at: datetime | None


class Refused(NamedTuple):
    id: UUID
    tenant_id: UUID
    failure: str


class TaskStatus(NamedTuple):
    id: UUID
    status: int


def wake(now: datetime, limit: int) -> Query[Woken]:
    """Return one row."""
    return Query("outbox.wake", {"now": now, "limit": limit}, Woken)


def claim(
    each: int, limit: int, *, only: UUID | None = None, but: Collection[UUID] = ()
) -> Query[Wish]:
    """At most `each` of every tenant, of one tenant, or of all but some; together at most `limit`."""
    params = {"each": each, "limit": limit, "only": only, "but": list(but), "small": SMALL}
    return Query("outbox.claim", params, Wish)


def claim_of(ids: Sequence[UUID]) -> Query[Wish]:
    return Query("outbox.claim_of", {"ids": list(ids), "small": SMALL}, Wish)


def ready_ids(limit: int, *, only: UUID | None = None, but: Collection[UUID] = ()) -> Query[UUID]:
    params = {"limit": limit, "only": only, "but": list(but)}
    return Query("outbox.ready_ids", params, the_value)


def read(ids: Sequence[UUID]) -> Query[Data]:
    return Query("outbox.read", {"ids": list(ids)}, Data)


def remove_ready(ids: Sequence[UUID]) -> Query[UUID]:
    return Query("outbox.remove_ready", {"ids": list(ids)}, the_value)


def withdraw(targets: Sequence[tuple[UUID, UUID]]) -> Query[UUID]:
    """`targets` are (id, tenant)."""
    params = {"ids": [t[0] for t in targets], "tenant_ids": [t[1] for t in targets]}
    return Query("outbox.withdraw", params, the_value)


def refuse(failures: Sequence[tuple[UUID, str]], now: datetime) -> Query[Refused]:
    params = {"ids": [f[0] for f in failures], "failures": [f[1] for f in failures], "now": now}
    return Query("outbox.refuse", params, Refused)


def postpone(ids: Sequence[UUID], due_at: datetime) -> Query[UUID]:
    return Query("outbox.postpone", {"ids": list(ids), "due_at": due_at}, the_value)


def retry(tenant_id: UUID, wish_id: UUID) -> Query[UUID]:
    return Query("outbox.retry", {"tenant_id": tenant_id, "id": wish_id}, the_value)


def dismiss(tenant_id: UUID, wish_id: UUID) -> Query[UUID]:
    return Query("outbox.dismiss", {"tenant_id": tenant_id, "id": wish_id}, the_value)


def forget(before: datetime) -> Query[UUID]:
    return Query("outbox.forget", {"before": before}, the_value)


def forget_keys(now: datetime) -> Query[UUID]:
    return Query("outbox.forget_keys", {"now": now}, the_value)


def statuses(tasks: Sequence[tuple[UUID, UUID]]) -> Query[TaskStatus]:
    """`tasks` are (id, tenant)."""
    params = {"ids": [t[0] for t in tasks], "tenant_ids": [t[1] for t in tasks]}
    return Query("outbox.statuses", params, TaskStatus)
