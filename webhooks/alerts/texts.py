"""Messages about alerts as each kind of channel wants them: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from webhooks.alert_models import AlertEvent
from webhooks.alerts.kinds import SEVERITIES

_WORDS: Mapping[AlertEvent, str] = {
    AlertEvent.OPENED: "",
    AlertEvent.REPEATED: "",
    AlertEvent.ACKNOWLEDGED: "Acknowledged: ",
    AlertEvent.RESOLVED: "Resolved: ",
    AlertEvent.TEST: "",
}
_PAGER_ACTIONS: Mapping[AlertEvent, str] = {
    AlertEvent.OPENED: "trigger",
    AlertEvent.REPEATED: "trigger",
    AlertEvent.ACKNOWLEDGED: "acknowledge",
    AlertEvent.RESOLVED: "resolve",
    AlertEvent.TEST: "trigger",
}
_LONGEST_SUMMARY = 1_024
_LONGEST_SUBJECT = 99
_LONGEST_SECTION = 2_900
"""Of a block of Slack's, which takes 3,000 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What is to be said. `url` leads to the alert, `page` to what it is about."""

    event: AlertEvent
    tenant_name: str
    alert_id: UUID | None
    kind: str
    rule_name: str
    title: str
    text: str
    url: str
    page: str
    runbook: str
    opened_at: datetime
    acknowledged_by: str
    sent_id: int
    """The same at each attempt."""

    @property
    def headline(self) -> str:
        return f"{_WORDS[self.event]}{self.title}"

    @property
    def severity(self) -> str:
        return SEVERITIES.get(self.kind, "info")


def mail_of(telling: Telling) -> tuple[str, str]:
    """Return the subject and the text."""
    return f"[{telling.tenant_name}] {telling.headline}", _plain(telling)


def _plain(telling: Telling) -> str:
    parts = [telling.headline, telling.text]
    if telling.event == AlertEvent.ACKNOWLEDGED:
        parts.append(f"By {telling.acknowledged_by}.")
    parts += [f"Alert: {telling.url}", f"See: {telling.page}"]
    if telling.runbook:
        parts.append(f"What to do:\n{telling.runbook}")
    parts.append(f"Rule: {telling.rule_name}, tenant: {telling.tenant_name}.")
    return "\n\n".join(part for part in parts if part)


def slack_of(telling: Telling) -> dict[str, Any]:
    headline = _escaped(telling.headline)
    lines = [f"*<{telling.url}|{headline}>*", _escaped(telling.text)]
    if telling.event == AlertEvent.ACKNOWLEDGED:
        lines.append(_escaped(f"By {telling.acknowledged_by}."))
    if telling.runbook:
        lines.append(f"*What to do*\n{_escaped(telling.runbook)}")
    section = "\n".join(line for line in lines if line)[:_LONGEST_SECTION]
    context = _escaped(f"{telling.tenant_name} · {telling.rule_name}")[:_LONGEST_SECTION]
    return {
        "text": headline,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": section}},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": f"{context} · <{telling.page}|See>"}],
            },
        ],
    }


def _escaped(text: str) -> str:
    """Slack gives three characters a meaning: with them a name could mention everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pagerduty_of(telling: Telling, routing_key: str) -> dict[str, Any]:
    """An event of the Events API v2."""
    key = "test" if telling.alert_id is None else str(telling.alert_id)
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _PAGER_ACTIONS[telling.event],
        "dedup_key": f"hatchet-{key}",
    }
    if event["event_action"] != "trigger":
        return event
    details = {"text": telling.text, "rule": telling.rule_name, "runbook": telling.runbook}
    return event | {
        "client": "Hatchet",
        "client_url": telling.url,
        "links": [{"href": telling.page, "text": "What it is about"}],
        "payload": {
            "summary": f"[{telling.tenant_name}] {telling.title}"[:_LONGEST_SUMMARY],
            "source": telling.tenant_name,
            "severity": telling.severity,
            "timestamp": telling.opened_at.isoformat(),
            "class": telling.kind,
            "custom_details": details,
        },
    }


def sns_of(telling: Telling) -> tuple[str, str]:
    """Return the subject, which SNS takes in printable ASCII alone, and the message."""
    subject = f"[{telling.tenant_name}] {telling.headline}"
    ascii_text = subject.encode("ascii", "replace").decode()
    line = "".join(sign if sign.isprintable() else " " for sign in ascii_text)
    return line[:_LONGEST_SUBJECT], _plain(telling)
