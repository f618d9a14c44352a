"""Looks at what rules and tenants' settings ask for, and opens and ends alerts by what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

import orjson

from engine.store.changes import Changes
from engine.store.query import Operation, fetch
from tenants.resources import Limit, Resource
from webhooks.alerts import findings, store
from webhooks.alerts.findings import FAILURES_KEY, MOST_FINDINGS
from webhooks.alerts.kinds import (
    EXPIRING_TOKENS,
    HEALTH,
    LIMITS,
    MISSED_CRON,
    NO_WORKER,
    OWN_NAMES,
    QUEUE_AGE,
    RUN_FAILURES,
    RUNS,
    STATUSES,
)
from webhooks.alerts.store import Changed, Finding, RuleRow, Source, WaitingAction

TOPIC = "alerts"
"""What open pages of alerts listen to."""
SILENCE = timedelta(seconds=60)
"""Workers and engines without a heartbeat for so long are not counted."""
OVERDUE = timedelta(minutes=5)
_MISSES_OF = timedelta(days=1)
_MOST_ACTIONS = 1_000
_MOST_TENANTS = 100
_MOST_TOKENS = 1_000
TOKENS_BEFORE = timedelta(days=7)

Settings = Mapping[str, Any]
Look = Callable[[RuleRow, Settings, datetime], Operation[list[Finding]]]


def look_at_rule(rule: RuleRow, now: datetime) -> Operation[int]:
    """Find out whether what a rule is about is wrong; return how much is."""
    if not (yield from fetch(store.lock_rule(rule.id))):
        return 0
    found = yield from _LOOKS[rule.kind](rule, orjson.loads(rule.settings), now)
    # Rules of one kind may find the same: to each it is its own alert.
    named = [one._replace(key=f"{rule.id}:{one.key}") for one in found]
    source = Source(rule.kind, rule.name, rule.id, rule.runbook)
    changed: list[Changed] = []
    if named:
        opened = store.open_alerts(source, [(rule.tenant_id, one) for one in named], now)
        changed += yield from fetch(opened)
    keys = [one.key for one in named]
    changed += yield from fetch(store.resolve(rule.tenant_id, rule.id, keys, now))
    yield from _tell_pages(changed)
    return len(named)


def _runs(rule: RuleRow, settings: Settings, now: datetime) -> Operation[list[Finding]]:
    since = now - timedelta(seconds=settings["windowSeconds"])
    statuses = [STATUSES[name] for name in settings["statuses"] or STATUSES]
    workflow_ids = [UUID(text) for text in settings["workflowIds"]]
    query = store.count_runs(rule.tenant_id, since, statuses, workflow_ids)
    [number] = yield from fetch(query)
    return findings.too_many_runs(rule.name, rule.slug, settings, number)


def _waiting(rule: RuleRow, now: datetime) -> Operation[list[WaitingAction]]:
    query = store.waiting_actions(rule.tenant_id, silent_since=now - SILENCE, limit=_MOST_ACTIONS)
    return (yield from fetch(query))


def _queue_age(rule: RuleRow, settings: Settings, now: datetime) -> Operation[list[Finding]]:
    actions = yield from _waiting(rule, now)
    return findings.waiting_too_long(rule.slug, settings["seconds"], actions, now)


def _no_worker(rule: RuleRow, settings: Settings, now: datetime) -> Operation[list[Finding]]:
    actions = yield from _waiting(rule, now)
    return findings.without_worker(rule.slug, settings["seconds"], actions, now)


def _missed_cron(rule: RuleRow, _: Settings, now: datetime) -> Operation[list[Finding]]:
    query = store.missed_crons(
        rule.tenant_id, since=now - _MISSES_OF, overdue_since=now - OVERDUE, limit=MOST_FINDINGS
    )
    return findings.missed_crons(rule.slug, (yield from fetch(query)))


def _health(rule: RuleRow, _: Settings, now: datetime) -> Operation[list[Finding]]:
    [health] = yield from fetch(store.health(rule.tenant_id, silent_since=now - SILENCE))
    return findings.unwell(rule.slug, health)


_LOOKS: Mapping[str, Look] = {
    RUNS: _runs,
    QUEUE_AGE: _queue_age,
    NO_WORKER: _no_worker,
    MISSED_CRON: _missed_cron,
    HEALTH: _health,
}


def look_at_failures(now: datetime) -> Operation[bool]:
    """Open a digest of failed runs where people may be told again; True: there may be more."""
    [is_ours] = yield from fetch(store.take_turn())
    if not is_ours:
        return False
    rows = yield from fetch(store.take_failures(FAILURES_KEY, _MOST_TENANTS, now))
    digests = [
        (tenant_id, findings.failures(slug, list(of_tenant)))
        for (tenant_id, slug), of_tenant in groupby(rows, lambda row: (row.tenant_id, row.slug))
    ]
    changed: list[Changed] = []
    if digests:
        source = Source(RUN_FAILURES, OWN_NAMES[RUN_FAILURES])
        changed += yield from fetch(store.open_alerts(source, digests, now, repeats=True))
    changed += yield from fetch(store.end_failures(FAILURES_KEY, now))
    yield from _tell_pages(changed)
    return len(digests) == _MOST_TENANTS


def look_at_tokens(now: datetime) -> Operation[None]:
    """Open alerts of API tokens that are about to end, and end those that are settled."""
    [is_ours] = yield from fetch(store.take_turn())
    if not is_ours:
        return
    tokens = yield from fetch(store.expiring_tokens(now + TOKENS_BEFORE, _MOST_TOKENS, now))
    changed: list[Changed] = []
    if tokens:
        source = Source(EXPIRING_TOKENS, OWN_NAMES[EXPIRING_TOKENS])
        found = [(token.tenant_id, findings.expiring(token)) for token in tokens]
        changed += yield from fetch(store.open_alerts(source, found, now))
    changed += yield from fetch(store.end_tokens(EXPIRING_TOKENS, now))
    yield from _tell_pages(changed)


def look_at_limits(enforced: Mapping[Resource, Limit], now: datetime) -> Operation[None]:
    """Open alerts of limits that are near or reached, and end those that are not any more."""
    [is_ours] = yield from fetch(store.take_turn())
    if not is_ours:
        return
    rows = (yield from fetch(store.used_up(enforced, now))) if enforced else []
    found = [(row.tenant_id, one) for row in rows for one in findings.limits(row)]
    changed: list[Changed] = []
    if found:
        source = Source(LIMITS, OWN_NAMES[LIMITS])
        changed += yield from fetch(store.open_alerts(source, found, now))
    changed += yield from fetch(store.end_limits(LIMITS, found, now))
    yield from _tell_pages(changed)


def tell(limit: int, now: datetime, *, mails: bool, server_url: str) -> Operation[int]:
    """Put messages about alerts on their way; return of how many alerts."""
    query = store.tell(limit, mails=mails, server_url=server_url, now=now)
    told = yield from fetch(query)
    yield from _tell_pages(told)
    return len(told)


def tell_pages_of(tenant_ids: Iterable[UUID]) -> Operation[None]:
    """Say that what pages show of these tenants' alerts has changed."""
    yield Changes(pages={(tenant_id, TOPIC) for tenant_id in tenant_ids})


def _tell_pages(changed: list[Changed]) -> Operation[None]:
    if changed:
        yield Changes(pages={(one.tenant_id, TOPIC) for one in changed})
