"""Statements of webhooks/sql/alert.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import new_id
from engine.states import CronMissCause
from engine.store.query import Query, the_value
from tenants.resources import Limit, Resource


class Pulse(NamedTuple):
    rules: bool
    failures: bool
    untold: bool
    unsent: bool
    channels: bool


class RuleRow(NamedTuple):
    """A rule that is ours to look at now. `settings` is a JSON text."""

    id: UUID
    tenant_id: UUID
    slug: str
    name: str
    kind: str
    settings: str
    runbook: str


class WaitingAction(NamedTuple):
    action_id: str
    queued_at: datetime
    has_worker: bool


class MissedCron(NamedTuple):
    """Of one that is overdue there is no cause."""

    id: UUID
    name: str
    expression: str
    workflow_name: str
    cause: int | None
    number: int
    last_at: datetime


class Health(NamedTuple):
    silent_engines: list[str]
    is_scheduled: bool
    connections: int
    most_connections: int
    oldest_transaction_seconds: float
    unfrozen: int
    """Transactions since rows were last frozen: at two thousand million the database stops."""


class FailureRow(NamedTuple):
    """So many failed runs of a workflow, of which `run_id` is one of the last."""

    tenant_id: UUID
    slug: str
    workflow_name: str | None
    run_id: UUID
    number: int


class ExpiringToken(NamedTuple):
    tenant_id: UUID
    slug: str
    token_id: UUID
    name: str
    expires_at: datetime


class UsedUp(NamedTuple):
    """How much a tenant has of a resource, from where on people are told, and how much it may have."""

    tenant_id: UUID
    slug: str
    resource: str
    value: int
    most: int


class Changed(NamedTuple):
    """An alert that changed."""

    id: UUID
    tenant_id: UUID


class Claimed(NamedTuple):
    """A message to be sent now, with its alert, unless a channel is tried out, and its channel."""

    id: int
    channel_id: UUID | None
    address: str
    event: str
    tries: int
    created_at: datetime
    tenant_name: str
    slug: str
    channel_kind: str | None
    channel_settings: str | None
    secret: bytes | None
    alert_id: UUID | None
    kind: str | None
    rule_name: str | None
    title: str | None
    text: str | None
    link: str | None
    runbook: str | None
    number: int | None
    opened_at: datetime | None
    acknowledged_by: str | None


class Swept(NamedTuple):
    alerts: int
    notifications: int


class Finding(NamedTuple):
    """Something that is wrong. `key` names it: the same thing found again has the same. `link` is a path."""

    key: str
    title: str
    text: str
    link: str
    number: int = 1


class Source(NamedTuple):
    """What found something: a rule, or a tenant's own settings."""

    kind: str
    rule_name: str
    rule_id: UUID | None = None
    runbook: str = ""


def pulse(now: datetime) -> Query[Pulse]:
    return Query("alert.pulse", {"now": now}, Pulse)


def take_turn() -> Query[bool]:
    return Query("alert.take_turn", {}, the_value)


def take_rules(limit: int, *, next_at: datetime, now: datetime) -> Query[RuleRow]:
    return Query("alert.take_rules", {"limit": limit, "next": next_at, "now": now}, RuleRow)


def lock_rule(rule_id: UUID) -> Query[UUID]:
    return Query("alert.lock_rule", {"rule_id": rule_id}, the_value)


def count_runs(
    tenant_id: UUID, since: datetime, statuses: Sequence[int], workflow_ids: Sequence[UUID]
) -> Query[int]:
    params = {
        "tenant_id": tenant_id,
        "since": since,
        "statuses": list(statuses),
        "workflow_ids": list(workflow_ids),
    }
    return Query("alert.count_runs", params, the_value)


def waiting_actions(tenant_id: UUID, *, silent_since: datetime, limit: int) -> Query[WaitingAction]:
    params = {"tenant_id": tenant_id, "silent_since": silent_since, "limit": limit}
    return Query("alert.waiting_actions", params, WaitingAction)


def missed_crons(
    tenant_id: UUID, *, since: datetime, overdue_since: datetime, limit: int
) -> Query[MissedCron]:
    params = {
        "tenant_id": tenant_id,
        "since": since,
        "overdue_since": overdue_since,
        "paused": CronMissCause.PAUSED.value,
        "limit": limit,
    }
    return Query("alert.missed_crons", params, MissedCron)


def health(tenant_id: UUID, *, silent_since: datetime) -> Query[Health]:
    params = {"tenant_id": tenant_id, "silent_since": silent_since}
    return Query("alert.health", params, Health)


def open_alerts(
    source: Source,
    found: Sequence[tuple[UUID, Finding]],
    now: datetime,
    *,
    repeats: bool = False,
) -> Query[Changed]:
    """`found`: by tenant."""
    return Query(
        "alert.open",
        {
            "ids": [new_id() for _ in found],
            "tenant_ids": [tenant_id for tenant_id, _ in found],
            "keys": [one.key for _, one in found],
            "titles": [one.title for _, one in found],
            "texts": [one.text for _, one in found],
            "links": [one.link for _, one in found],
            "counts": [one.number for _, one in found],
            "rule_id": source.rule_id,
            "rule_name": source.rule_name,
            "kind": source.kind,
            "runbook": source.runbook,
            "repeats": repeats,
            "now": now,
        },
        Changed,
    )


def resolve(
    tenant_id: UUID, rule_id: UUID, still_there: Sequence[str], now: datetime
) -> Query[Changed]:
    params = {"tenant_id": tenant_id, "rule_id": rule_id, "keys": list(still_there), "now": now}
    return Query("alert.resolve", params, Changed)


def take_failures(key: str, limit: int, now: datetime) -> Query[FailureRow]:
    return Query("alert.take_failures", {"key": key, "limit": limit, "now": now}, FailureRow)


def end_failures(key: str, now: datetime) -> Query[Changed]:
    return Query("alert.end_failures", {"key": key, "now": now}, Changed)


def expiring_tokens(before: datetime, limit: int, now: datetime) -> Query[ExpiringToken]:
    params = {"before": before, "limit": limit, "now": now}
    return Query("alert.expiring_tokens", params, ExpiringToken)


def end_tokens(kind: str, now: datetime) -> Query[Changed]:
    return Query("alert.end_tokens", {"kind": kind, "now": now}, Changed)


def used_up(limits: Mapping[Resource, Limit], now: datetime) -> Query[UsedUp]:
    return Query(
        "alert.used_up",
        {
            "resources": [resource.value for resource in limits],
            "mosts": [limit.value for limit in limits.values()],
            "alarms": [limit.alarm for limit in limits.values()],
            "windows": [limit.window_seconds for limit in limits.values()],
            "now": now,
        },
        UsedUp,
    )


def end_limits(
    kind: str, still_there: Sequence[tuple[UUID, Finding]], now: datetime
) -> Query[Changed]:
    params = {
        "kind": kind,
        "tenant_ids": [tenant_id for tenant_id, _ in still_there],
        "keys": [one.key for _, one in still_there],
        "now": now,
    }
    return Query("alert.end_limits", params, Changed)


def tell(limit: int, *, mails: bool, server_url: str, now: datetime) -> Query[Changed]:
    params = {"limit": limit, "mails": mails, "server_url": server_url, "now": now}
    return Query("alert.tell", params, Changed)


def claim(
    claim_id: UUID,
    busy: Mapping[UUID, int],
    *,
    most: int,
    limit: int,
    until: datetime,
    now: datetime,
) -> Query[Claimed]:
    """`busy`: how many messages are under way here, by channel."""
    return Query(
        "alert.claim",
        {
            "claim_id": claim_id,
            "channel_ids": list(busy),
            "counts": list(busy.values()),
            "most": most,
            "limit": limit,
            "until": until,
            "now": now,
        },
        Claimed,
    )


def record(
    claimed: Claimed,
    claim_id: UUID,
    *,
    state: str,
    due_at: datetime,
    status: int | None,
    error: str,
    now: datetime,
) -> Query[UUID]:
    return Query(
        "alert.record",
        {
            "id": claimed.id,
            "claim_id": claim_id,
            "state": state,
            "due_at": due_at,
            "status": status,
            "error": error,
            "now": now,
        },
        the_value,
    )


def sweep(before_id: UUID, before: datetime, limit: int) -> Query[Swept]:
    params = {"before_id": before_id, "before": before, "limit": limit}
    return Query("alert.sweep", params, Swept)
