"""What a look has found wrong, in words: pure functions of what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from engine.states import CronMissCause
from tenants.resources import Resource
from webhooks.alerts.store import (
    ExpiringToken,
    FailureRow,
    Finding,
    Health,
    MissedCron,
    UsedUp,
    WaitingAction,
)

LONGEST_TITLE = 300
LONGEST_TEXT = 4_000
MOST_FINDINGS = 50
"""Of one look: what is more is told by its number."""
FAILURES_KEY = "run-failures"
MOST_CONNECTIONS = 0.9
"""Of those that the database takes."""
OLDEST_TRANSACTION = timedelta(minutes=10)
MOST_UNFROZEN = 1_500_000_000
_RESOURCE_WORDS: Mapping[str, str] = {
    Resource.TASK_RUN: "task runs",
    Resource.EVENT: "events",
    Resource.WORKER: "workers",
    Resource.WORKER_SLOT: "worker slots",
    Resource.CRON: "crons",
    Resource.SCHEDULE: "scheduled runs",
    Resource.INCOMING_WEBHOOK: "incoming webhooks",
    Resource.API_TOKEN: "API tokens",
}
_MISSED_WORDS: Mapping[int | None, str] = {
    None: "it is overdue",
    CronMissCause.STOPPED: "no engine was running",
    CronMissCause.LATE: "engines could not get at it in time",
    CronMissCause.FAILED: "its run could not be started",
    CronMissCause.TOO_MANY: "more were missed than are made up",
}


def too_many_runs(rule: str, slug: str, settings: Mapping[str, Any], number: int) -> list[Finding]:
    """`rule` is its name. The link shows the narrowest window of the runs page that holds them."""
    threshold, seconds = settings["threshold"], settings["windowSeconds"]
    if number <= threshold:
        return []
    statuses: Sequence[str] = settings["statuses"]
    state = " or ".join(status.lower() for status in statuses) or "triggered"
    title = f"{rule}: {number} runs {state} in {in_words(seconds)}"
    text = f"The rule tells of more than {threshold}."
    pairs = [("window", _window(seconds)), *(("status", one.lower()) for one in statuses)]
    workflow_ids = settings["workflowIds"]
    if len(workflow_ids) == 1:
        pairs.append(("workflow", workflow_ids[0]))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return [_found("runs", title, text, f"/t/{slug}/runs?{query}")]


def waiting_too_long(
    slug: str, seconds: int, actions: Sequence[WaitingAction], now: datetime
) -> list[Finding]:
    """One finding, of the action whose task waits longest."""
    late = [one for one in actions if now - one.queued_at >= timedelta(seconds=seconds)]
    if not late:
        return []
    oldest = min(late, key=lambda one: one.queued_at)
    age = in_words((now - oldest.queued_at).total_seconds())
    title = f"A task of {oldest.action_id} has waited for {age}"
    others = f" So do tasks of {len(late) - 1} other actions." if len(late) > 1 else ""
    text = f"Tasks wait for more than {in_words(seconds)}.{others}"
    return [_found("queue-age", title, text, f"/t/{slug}/runs?status=queued")]


def without_worker(
    slug: str, seconds: int, actions: Sequence[WaitingAction], now: datetime
) -> list[Finding]:
    late = timedelta(seconds=seconds)
    lonely = [one for one in actions if not one.has_worker and now - one.queued_at >= late]
    return [
        _found(
            f"no-worker:{one.action_id}",
            f"No worker takes {one.action_id}",
            f"Tasks have waited for it for {in_words((now - one.queued_at).total_seconds())}.",
            f"/t/{slug}/workers",
        )
        for one in lonely[:MOST_FINDINGS]
    ]


def missed_crons(slug: str, crons: Sequence[MissedCron]) -> list[Finding]:
    return [
        _found(
            f"cron:{one.id}",
            f"The cron {one.name or one.expression} of {one.workflow_name} was missed",
            f"It did not fire for {one.last_at:%Y-%m-%d %H:%M:%S} UTC: {_MISSED_WORDS[one.cause]}."
            f" {one.number} times were missed.",
            f"/t/{slug}/crons/{one.id}",
        )
        for one in crons
    ]


def unwell(slug: str, health: Health) -> list[Finding]:
    page = f"/t/{slug}/workers"
    found = [
        _found(
            f"engine:{name}",
            f"The engine {name} is silent",
            "It is connected, and has not said for a minute that it works.",
            page,
        )
        for name in health.silent_engines[:MOST_FINDINGS]
    ]
    if not health.is_scheduled:
        text = "No engine has had the tenant's lease for a minute, so nothing is given to workers."
        found.append(_found("engine:none", "Nobody schedules this tenant", text, page))
    if health.connections >= MOST_CONNECTIONS * health.most_connections:
        title = f"{health.connections} of {health.most_connections} database connections are used"
        found.append(_found("database:connections", title, "At the last one, work stops.", page))
    age = health.oldest_transaction_seconds
    if age >= OLDEST_TRANSACTION.total_seconds():
        title = f"A database transaction has been open for {in_words(age)}"
        text = "Rows that are dead are kept for it, and every table grows."
        found.append(_found("database:transaction", title, text, page))
    if health.unfrozen >= MOST_UNFROZEN:
        title = f"The database is {health.unfrozen} transactions old"
        text = "At two thousand million it stops taking writes: let VACUUM FREEZE finish."
        found.append(_found("database:unfrozen", title, text, page))
    return found


def failures(slug: str, rows: Sequence[FailureRow]) -> Finding:
    """A digest of failed runs of one tenant, those of which most failed first."""
    number = sum(row.number for row in rows)
    title = "1 run failed" if number == 1 else f"{number} runs failed"
    lines = [
        f"{row.workflow_name or 'a workflow that is gone'}: {row.number}, one of them {row.run_id}"
        for row in rows[:MOST_FINDINGS]
    ]
    link = f"/t/{slug}/runs?status=failed"
    if number == 1:
        link = f"/t/{slug}/runs/{rows[0].run_id}"
    return _found(FAILURES_KEY, title, "\n".join(lines), link, number)


def expiring(token: ExpiringToken) -> Finding:
    return _found(
        f"token:{token.token_id}",
        f"The API token {token.name} expires on {token.expires_at:%Y-%m-%d}",
        f"From {token.expires_at:%Y-%m-%d %H:%M} UTC on what uses it is refused. Rotate it in time.",
        f"/t/{token.slug}/tokens",
    )


def limits(row: UsedUp) -> list[Finding]:
    """That a limit is near; and that it is reached, which is told besides."""
    name, link = _RESOURCE_WORDS[row.resource], f"/t/{row.slug}/settings/usage"
    key, text = f"limit:{row.resource}", f"{row.value} of {row.most} {name} are used."
    found = [_found(f"{key}:near", f"The limit of {name} is nearly reached", text, link)]
    if row.value >= row.most:
        title = f"The limit of {name} is reached"
        found.append(_found(f"{key}:reached", title, f"{text} More are refused.", link))
    return found


def in_words(seconds: float) -> str:
    """Return a duration as people say it, in its largest unit that makes two or more."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _window(seconds: int) -> str:
    """The narrowest window of the runs page that holds all of it."""
    windows = ((3_600, "1h"), (6 * 3_600, "6h"), (86_400, "1d"))
    return next((name for size, name in windows if seconds <= size), "7d")


def _found(key: str, title: str, text: str, link: str, number: int = 1) -> Finding:
    """Names in it are other people's: they are kept to one line."""
    line = " ".join(title.split())[:LONGEST_TITLE]
    return Finding(key[:LONGEST_TITLE], line, text[:LONGEST_TEXT], link, number)
