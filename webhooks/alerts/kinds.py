"""What may be told of: the kinds of rules with the settings each takes, and what tenants' own settings ask for.

A new kind of rule is a row here and a function in `looks.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.states import Status

RUN_FAILURES = "RUN_FAILURES"
EXPIRING_TOKENS = "EXPIRING_TOKENS"
LIMITS = "LIMITS"
RUNS = "RUNS"
QUEUE_AGE = "QUEUE_AGE"
NO_WORKER = "NO_WORKER"
MISSED_CRON = "MISSED_CRON"
HEALTH = "HEALTH"

STATUSES: Mapping[str, Status] = {status.name: status for status in Status}
MOST_WORKFLOWS = 100


@dataclass(frozen=True, slots=True)
class Whole:
    """A setting that is a whole number; `default` None: it must be given."""

    name: str
    label: str
    least: int
    most: int
    default: int | None


@dataclass(frozen=True, slots=True)
class RuleKind:
    """`selects_runs`: it has statuses and workflows, too."""

    name: str
    label: str
    summary: str
    severity: str
    numbers: tuple[Whole, ...] = field(default=())
    selects_runs: bool = False


KINDS: Mapping[str, RuleKind] = {
    kind.name: kind
    for kind in (
        RuleKind(
            RUNS,
            "Too many runs",
            "More runs of a selection than a number, by when they were triggered.",
            "error",
            (
                Whole("threshold", "More runs than", 0, 1_000_000_000, None),
                Whole("windowSeconds", "Triggered within the last seconds", 60, 7 * 86_400, 3_600),
            ),
            selects_runs=True,
        ),
        RuleKind(
            QUEUE_AGE,
            "Tasks wait too long",
            "A task has waited for a worker for too long.",
            "warning",
            (Whole("seconds", "Waiting for seconds", 10, 7 * 86_400, 300),),
        ),
        RuleKind(
            NO_WORKER,
            "Action without worker",
            "Tasks wait for an action that no worker takes.",
            "error",
            (Whole("seconds", "For seconds", 10, 86_400, 60),),
        ),
        RuleKind(
            MISSED_CRON,
            "Missed cron",
            "A cron did not fire for its last time, or is overdue.",
            "error",
        ),
        RuleKind(
            HEALTH,
            "Engine or database unwell",
            "An engine is silent, nobody schedules this tenant, or the database runs out of something.",
            "critical",
        ),
    )
}
"""What rules may look at."""

OWN_NAMES: Mapping[str, str] = {
    RUN_FAILURES: "Failed runs",
    EXPIRING_TOKENS: "Expiring tokens",
    LIMITS: "Limits",
}
"""What the settings of a tenant ask for, by its kind."""

SEVERITIES: Mapping[str, str] = {
    RUN_FAILURES: "error",
    EXPIRING_TOKENS: "warning",
    LIMITS: "warning",
    **{kind.name: kind.severity for kind in KINDS.values()},
}
