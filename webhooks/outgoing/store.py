"""Statements of webhooks/sql/outgoing.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value


class OccurrenceRow(NamedTuple):
    """`data`, `additional_metadata` are JSON texts; `error` is the beginning of one."""

    id: int
    tenant_id: UUID
    kind: str
    subject_id: UUID
    at: datetime
    data: str | None
    workflow_id: UUID | None
    workflow_name: str | None
    trigger: int | None
    additional_metadata: str | None
    parent_run_id: UUID | None
    created_at: datetime | None
    started_at: datetime | None
    error: bytes | None
    worker_name: str | None
    actions: list[str] | None


class EndpointRow(NamedTuple):
    id: UUID
    tenant_id: UUID
    kinds: list[str]
    workflow_ids: list[UUID]


class Claimed(NamedTuple):
    id: UUID
    tenant_id: UUID
    endpoint_id: UUID
    message_id: UUID
    tries: int
    url: str
    secret: bytes
    previous_secret: bytes | None
    previous_expires_at: datetime | None
    body: bytes
    position: int


class NewMessage(NamedTuple):
    """A message, and the endpoints it goes to."""

    message_id: UUID
    tenant_id: UUID
    kind: str
    subject_id: UUID | None
    at: datetime
    body: bytes
    endpoint_ids: Sequence[UUID]


class Outcome(NamedTuple):
    """What became of one attempt. `entry` is the JSON text of its line in the log."""

    dispatch_id: UUID
    claim_id: UUID
    tenant_id: UUID
    endpoint_id: UUID
    state: str
    due_at: datetime
    status: int | None
    error: str
    entry: str
    not_before: datetime | None
    is_gone: bool


class Finding(NamedTuple):
    """What the attempts of a moment say about an endpoint."""

    endpoint_id: UUID
    has_worked: bool
    is_gone: bool
    not_before: datetime | None


def has_work() -> Query[bool]:
    return Query("outgoing.has_work", {}, the_value)


def take_turn() -> Query[bool]:
    return Query("outgoing.take_turn", {}, the_value)


def wait_for_turn() -> Query[str]:
    return Query("outgoing.wait_for_turn", {}, the_value)


def note_silent_workers(silent_since: datetime, now: datetime) -> Query[int]:
    params = {"silent_since": silent_since, "now": now}
    return Query("outgoing.note_silent_workers", params, the_value)


def occurrences(limit: int) -> Query[OccurrenceRow]:
    return Query("outgoing.occurrences", {"limit": limit}, OccurrenceRow)


def endpoints_of(tenant_ids: Sequence[UUID]) -> Query[EndpointRow]:
    return Query("outgoing.endpoints_of", {"tenant_ids": list(tenant_ids)}, EndpointRow)


def insert(
    messages: Sequence[NewMessage], dispatch_ids: Sequence[UUID], now: datetime
) -> Query[UUID]:
    """`dispatch_ids`: one for each endpoint of each message, in order."""
    return Query(
        "outgoing.insert",
        {
            "message_ids": [one.message_id for one in messages],
            "tenant_ids": [one.tenant_id for one in messages],
            "kinds": [one.kind for one in messages],
            "subject_ids": [one.subject_id for one in messages],
            "ats": [one.at for one in messages],
            "bodies": [one.body for one in messages],
            "dispatch_ids": list(dispatch_ids),
            "endpoint_ids": [each for one in messages for each in one.endpoint_ids],
            "of_messages": [one.message_id for one in messages for _ in one.endpoint_ids],
            "now": now,
        },
        the_value,
    )


def forget(ids: Sequence[int]) -> Query[int]:
    return Query("outgoing.forget", {"ids": list(ids)}, the_value)


def claim(
    claim_id: UUID,
    busy: Mapping[UUID, int],
    *,
    most_of_each: int,
    limit: int,
    until: datetime,
    now: datetime,
) -> Query[Claimed]:
    """`busy`: how many attempts are under way here, by endpoint."""
    return Query(
        "outgoing.claim",
        {
            "claim_id": claim_id,
            "endpoint_ids": list(busy),
            "counts": list(busy.values()),
            "most": most_of_each,
            "limit": limit,
            "until": until,
            "now": now,
        },
        Claimed,
    )


def record(outcomes: Sequence[Outcome], *, kept: int, now: datetime) -> Query[UUID]:
    return Query(
        "outgoing.record",
        {
            "ids": [one.dispatch_id for one in outcomes],
            "claim_ids": [one.claim_id for one in outcomes],
            "states": [one.state for one in outcomes],
            "due_ats": [one.due_at for one in outcomes],
            "statuses": [one.status for one in outcomes],
            "errors": [one.error for one in outcomes],
            "entries": [one.entry for one in outcomes],
            "kept": kept,
            "now": now,
        },
        the_value,
    )


def judge(findings: Sequence[Finding], *, dead_since: datetime, now: datetime) -> Query[UUID]:
    return Query(
        "outgoing.judge",
        {
            "ids": [one.endpoint_id for one in findings],
            "workings": [one.has_worked for one in findings],
            "gones": [one.is_gone for one in findings],
            "not_befores": [one.not_before for one in findings],
            "dead_since": dead_since,
            "now": now,
        },
        the_value,
    )
