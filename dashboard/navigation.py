"""What the navigation leads to, in groups, and which pages belong to which of its entries."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """`section` is that of its pages, `view` the name of its URL; `number` is a URL that tells how many."""

    section: str
    view: str
    icon: str
    label: str
    for_admins: bool = False
    number: str = ""


class Group(NamedTuple):
    heading: str
    entries: tuple[Entry, ...]


GROUPS = (
    Group("", (Entry("now", "tenant", "now", "Now"),)),
    Group(
        "Activity",
        (
            Entry("runs", "runs", "runs", "Runs"),
            Entry("errors", "errors", "failed", "Errors", number="errors_number"),
            Entry("events", "events", "event", "Events"),
            Entry("logs", "logs", "log", "Logs"),
        ),
    ),
    Group(
        "Triggers",
        (
            Entry("schedules", "schedules", "clock", "Scheduled runs"),
            Entry("crons", "crons", "cron", "Crons"),
            Entry("webhooks", "webhooks", "webhook", "Webhooks"),
            Entry("filters", "filters", "filter", "Filters"),
        ),
    ),
    Group(
        "Resources",
        (
            Entry("workflows", "workflows", "workflows", "Workflows"),
            Entry("workers", "workers", "workers", "Workers"),
            Entry("rate_limits", "rate_limits", "limit", "Rate limits"),
        ),
    ),
    Group(
        "Tenant",
        (
            Entry("alerts", "alerts", "alert", "Alerts"),
            Entry("tokens", "tokens", "token", "API tokens", for_admins=True),
            Entry("audit", "audit", "audit", "Audit log", for_admins=True),
            Entry("members", "members", "members", "Members", for_admins=True),
            Entry("settings", "settings", "settings", "Settings"),
        ),
    ),
)
_SECTIONS = (
    ("run", "runs"),
    ("trigger", "runs"),
    ("error", "errors"),
    ("webhook", "webhooks"),
    ("workflow", "workflows"),
    ("worker", "workers"),
    ("token", "tokens"),
    ("audit", "audit"),
    ("alert", "alerts"),
    ("bulk_action", "runs"),
    ("logs", "logs"),
    ("cron", "crons"),
    ("schedule", "schedules"),
    ("event", "events"),
    ("filter", "filters"),
    ("rate_limit", "rate_limits"),
    ("member", "members"),
    ("invite", "members"),
    ("settings", "settings"),
)
"""By how the names of the pages' URLs begin."""


def section_of(view: str) -> str:
    return next((name for prefix, name in _SECTIONS if view.startswith(prefix)), "now")


def groups_for(*, may_administer: bool) -> list[Group]:
    """The groups with the entries that a reader of this role may open."""
    shown = (
        group._replace(
            entries=tuple(e for e in group.entries if may_administer or not e.for_admins)
        )
        for group in GROUPS
    )
    return [group for group in shown if group.entries]
