"""What a person typed about a rule or a channel: read, and made into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import QueryDict

from dashboard.refusals import sentence_of
from dashboard.url_filters import parse_id
from engine.errors import HatchetError
from webhooks.alert_models import ChannelKind
from webhooks.alerts.changes import NewRule, create_rule, update_rule
from webhooks.alerts.channel_changes import (
    Emails,
    PagerDuty,
    Slack,
    Sns,
    Way,
    create_channel,
)
from webhooks.alerts.kinds import KINDS, RuleKind
from webhooks.models import AlertChannel, AlertRule

_LONGEST_NUMBER = 12


@dataclass(slots=True)
class RuleForm:
    """The fields as typed; `problems` are sentences for the top of the page."""

    kind: RuleKind
    name: str = ""
    numbers: dict[str, str] = field(default_factory=dict)
    statuses: tuple[str, ...] = ("FAILED",)
    workflow_ids: tuple[UUID, ...] = ()
    runbook: str = ""
    channel_ids: tuple[UUID, ...] = ()
    is_enabled: bool = True
    problems: list[str] = field(default_factory=list)

    @property
    def fields(self) -> list[tuple[Any, str]]:
        """The numbers of the kind, each with what was typed."""
        return [(one, self.numbers.get(one.name, "")) for one in self.kind.numbers]

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = {name: _number(text) for name, text in self.numbers.items()}
        if self.kind.selects_runs:
            found |= {"statuses": self.statuses, "workflowIds": self.workflow_ids}
        return found

    def add(self, error: HatchetError) -> None:
        sentence = sentence_of(error)
        for number in self.kind.numbers:
            for name in (number.name, number.name[:1].upper() + number.name[1:]):
                sentence = sentence.replace(name, f'"{number.label}"')
        self.problems.append(sentence)


def _number(text: str) -> int | str:
    """What is no number is left for who judges settings."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_number else text


def blank_rule(kind: RuleKind) -> RuleForm:
    numbers = {one.name: "" if one.default is None else str(one.default) for one in kind.numbers}
    return RuleForm(kind, name=kind.label, numbers=numbers)


def shown_rule(rule: AlertRule) -> RuleForm:
    """Return the form of a rule that exists."""
    kind, settings = KINDS[rule.kind], rule.settings
    return RuleForm(
        kind,
        name=rule.name,
        numbers={one.name: str(settings[one.name]) for one in kind.numbers},
        statuses=tuple(settings.get("statuses", ())),
        workflow_ids=tuple(UUID(text) for text in settings.get("workflowIds", ())),
        runbook=rule.runbook,
        channel_ids=tuple(rule.channel_ids),
        is_enabled=rule.is_enabled,
    )


def read_rule(kind: RuleKind, given: QueryDict) -> RuleForm:
    return RuleForm(
        kind,
        name=given.get("name", ""),
        numbers={one.name: given.get(one.name, "").strip() for one in kind.numbers},
        statuses=tuple(given.getlist("status")),
        workflow_ids=_ids(given, "workflow"),
        runbook=given.get("runbook", ""),
        channel_ids=_ids(given, "channel"),
        is_enabled=given.get("enabled") == "yes",
    )


def _ids(given: QueryDict, name: str) -> tuple[UUID, ...]:
    found = (parse_id(text) for text in given.getlist(name))
    return tuple(each for each in found if each is not None)


def save_rule(
    form: RuleForm, tenant_id: UUID, now: datetime, rule: AlertRule | None = None
) -> AlertRule | None:
    """Make the rule, or change the one given; None, with a problem in the form, if something is wrong."""
    fields: Mapping[str, Any] = {
        "name": form.name,
        "settings": form.settings,
        "runbook": form.runbook,
        "channel_ids": form.channel_ids,
        "is_enabled": form.is_enabled,
    }
    try:
        if rule is None:
            return create_rule(tenant_id, NewRule(kind=form.kind.name, **fields), now)
        update_rule(rule, fields, now)
    except HatchetError as error:
        form.add(error)
        return None
    return rule


@dataclass(slots=True)
class ChannelForm:
    """The fields as typed. Secrets are not given back, so they are typed again where something is wrong."""

    kind: ChannelKind
    name: str = ""
    emails: str = ""
    topic_arn: str = ""
    access_key_id: str = ""
    problems: list[str] = field(default_factory=list)


def read_channel(kind: ChannelKind, given: QueryDict) -> ChannelForm:
    return ChannelForm(
        kind,
        name=given.get("name", "").strip(),
        emails=given.get("emails", ""),
        topic_arn=given.get("topic_arn", "").strip(),
        access_key_id=given.get("access_key_id", "").strip(),
    )


def addresses_in(text: str) -> list[str]:
    """Addresses as people write them: in lines, or with commas, semicolons or blanks between them."""
    return text.replace(",", " ").replace(";", " ").split()


def create(form: ChannelForm, secret: str, tenant_id: UUID, now: datetime) -> AlertChannel | None:
    """Make the channel; None, with a problem in the form, if something is wrong."""
    try:
        return create_channel(tenant_id, form.name, _way(form, secret.strip()), now)
    except HatchetError as error:
        form.problems.append(sentence_of(error))
        return None


def _way(form: ChannelForm, secret: str) -> Way:
    match form.kind:
        case ChannelKind.EMAIL:
            return Emails(emails=addresses_in(form.emails))
        case ChannelKind.SLACK:
            return Slack(url=secret)
        case ChannelKind.PAGERDUTY:
            return PagerDuty(routing_key=secret)
        case ChannelKind.SNS:
            return Sns(
                topic_arn=form.topic_arn,
                access_key_id=form.access_key_id,
                secret_access_key=secret,
            )
