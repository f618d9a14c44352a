"""Making, changing, trying and deleting channels, for the API and the pages alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Func, Value

from engine.errors import FailedPrecondition, InvalidArgument
from tenants import mail
from webhooks.alert_models import AlertEvent, ChannelKind, NotificationState
from webhooks.alerts.settings import LONGEST_NAME, clean_line
from webhooks.alerts.sns import TOPIC_EXAMPLE, can_sign, is_topic
from webhooks.encryption import encrypt
from webhooks.models import AlertChannel, AlertNotification, AlertRule
from webhooks.outgoing.targets import problem_with

MOST_CHANNELS = 50
"""Of one tenant."""
MOST_EMAILS = 50
LONGEST_EMAIL = 254
MOST_WAITING_TESTS = 20
_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")
_ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9]{16,128}")
_SECRET_KEY = re.compile(r"[A-Za-z0-9/+=]{16,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """The URL of an incoming webhook, which is a secret; the rest only Slack's own answer says."""

    url: str = field(repr=False)
    team_name: str = ""
    team_id: str = ""
    channel_name: str = ""
    channel_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDuty:
    """The integration key of a service that takes the Events API v2."""

    routing_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sns:
    """A topic, and a key of AWS that may publish to it."""

    topic_arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emails:
    """A group of addresses."""

    emails: Sequence[str]


Way = Slack | PagerDuty | Sns | Emails


def create_channel(tenant_id: UUID, name: str, way: Way, now: datetime) -> AlertChannel:
    """Make a channel. Without a name it is called by what it is. InvalidArgument: something is wrong."""
    kind, told, secret = _kept(way)
    called = clean_line("name", name or _named(way), LONGEST_NAME)
    if AlertChannel.objects.filter(tenant_id=tenant_id).count() >= MOST_CHANNELS:
        raise InvalidArgument(f"a tenant has at most {MOST_CHANNELS} channels")
    return AlertChannel.objects.create(
        tenant_id=tenant_id,
        kind=kind.value,
        name=called,
        settings=told,
        secret=encrypt(secret) if secret else b"",
        created_at=now,
        updated_at=now,
    )


def update_channel(
    channel: AlertChannel,
    now: datetime,
    *,
    name: str | None = None,
    emails: Sequence[str] | None = None,
    is_paused: bool | None = None,
) -> None:
    """Change what is given. A channel that is paused is sent nothing, and what waits for it is dropped."""
    changed = ["updated_at"]
    if name is not None:
        channel.name = clean_line("name", name, LONGEST_NAME)
        changed.append("name")
    if emails is not None:
        if channel.kind != ChannelKind.EMAIL:
            raise InvalidArgument("emails are those of mail groups alone")
        channel.settings = {"emails": _emails(emails)}
        changed.append("settings")
    if is_paused is not None:
        channel.is_paused = is_paused
        channel.failing_since, channel.last_error = None, ""
        changed += ["is_paused", "failing_since", "last_error"]
    channel.updated_at = now
    with transaction.atomic():
        channel.save(update_fields=changed)
        if channel.is_paused:
            _drop_what_waits(channel)


def delete_channel(channel: AlertChannel) -> None:
    """Delete a channel and what is on its way to it. Rules that told only it tell all channels from then on."""
    with transaction.atomic():
        _drop_what_waits(channel)
        naming = AlertRule.objects.filter(
            tenant_id=channel.tenant_id, channel_ids__contains=[channel.id]
        )
        without = Func(F("channel_ids"), Value(channel.id), function="array_remove")
        naming.update(channel_ids=without)
        channel.delete()


def try_channel(channel: AlertChannel, now: datetime) -> None:
    """Send a message that says nothing, to see whether it arrives: to each address of a mail group."""
    if channel.is_paused:
        raise FailedPrecondition("this channel is paused")
    waiting = AlertNotification.objects.filter(
        channel_id=channel.id, alert_id=None, state=NotificationState.PENDING
    )
    if waiting.count() >= MOST_WAITING_TESTS:
        raise FailedPrecondition("enough tests are on their way to this channel")
    AlertNotification.objects.bulk_create(
        AlertNotification(
            tenant_id=channel.tenant_id,
            channel_id=channel.id,
            address=address,
            event=AlertEvent.TEST.value,
            state=NotificationState.PENDING.value,
            due_at=now,
            created_at=now,
        )
        for address in channel.settings.get("emails", [""])
    )


def _drop_what_waits(channel: AlertChannel) -> None:
    waiting = AlertNotification.objects.filter(channel_id=channel.id)
    waiting.filter(state=NotificationState.PENDING).delete()


def _kept(way: Way) -> tuple[ChannelKind, Mapping[str, Any], str]:
    """Return the kind, what may be shown, and the secret."""
    match way:
        case Emails():
            return ChannelKind.EMAIL, {"emails": _emails(way.emails)}, ""
        case Slack():
            return ChannelKind.SLACK, _slack(way), way.url
        case PagerDuty():
            if not _ROUTING_KEY.fullmatch(way.routing_key):
                raise InvalidArgument("routingKey must be 32 letters and digits")
            return ChannelKind.PAGERDUTY, {}, way.routing_key
        case Sns():
            return ChannelKind.SNS, _sns(way), way.secret_access_key


def _slack(way: Slack) -> dict[str, str]:
    problem = problem_with(way.url, settings.HATCHET.webhooks_allowed_networks)
    if problem is not None:
        raise InvalidArgument(f"url {problem}")
    names = {
        "teamName": way.team_name,
        "teamId": way.team_id,
        "channelName": way.channel_name,
        "channelId": way.channel_id,
    }
    return {
        key: clean_line(key, value, LONGEST_NAME) if value else "" for key, value in names.items()
    }


def _sns(way: Sns) -> dict[str, str]:
    if not can_sign():
        raise FailedPrecondition(
            "this server cannot sign requests to AWS: whoever runs it installs requirements-aws.txt"
        )
    if not is_topic(way.topic_arn):
        raise InvalidArgument(f"topicArn must look like {TOPIC_EXAMPLE}")
    if not _ACCESS_KEY_ID.fullmatch(way.access_key_id):
        raise InvalidArgument("accessKeyId must be the id of a key of AWS")
    if not _SECRET_KEY.fullmatch(way.secret_access_key):
        raise InvalidArgument("secretAccessKey must be the secret of a key of AWS")
    return {"topicArn": way.topic_arn, "accessKeyId": way.access_key_id}


def _emails(given: Sequence[str]) -> list[str]:
    """Return the addresses, each once, as they were given."""
    if not 1 <= len(given) <= MOST_EMAILS:
        raise InvalidArgument(f"emails must hold 1 to {MOST_EMAILS} addresses")
    found: dict[str, str] = {}
    for address in given:
        if len(address) > LONGEST_EMAIL or not mail.is_address(address):
            raise InvalidArgument("emails must be e-mail addresses")
        found.setdefault(address.lower(), address)
    return list(found.values())


def _named(way: Way) -> str:
    match way:
        case Emails():
            return ", ".join(way.emails)[:LONGEST_NAME]
        case Slack():
            return way.channel_name or "Slack"
        case PagerDuty():
            return "PagerDuty"
        case Sns():
            return way.topic_arn.rpartition(":")[2][:LONGEST_NAME]
