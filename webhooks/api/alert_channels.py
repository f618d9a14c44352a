"""Channels by which people are told of alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from tenants.models import Role
from tenants.rest import in_body
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.paging import Page, count_up_to
from webhooks.alerts.channel_changes import (
    Emails,
    PagerDuty,
    Slack,
    Sns,
    Way,
    create_channel,
    delete_channel,
    try_channel,
    update_channel,
)
from webhooks.alerts.queries import channels_of, find_channel
from webhooks.alerts.settings import LONGEST_NAME
from webhooks.alerts.sns import LONGEST_ARN
from webhooks.api.alert_groups import emails
from webhooks.api.alert_shapes import channel_shape, notification_shape
from webhooks.models import AlertChannel, AlertNotification
from webhooks.outgoing.targets import LONGEST_URL

_KINDS = ("emails", "slack", "pagerDuty", "sns")


@dataclass(frozen=True, slots=True)
class SlackBody:
    url: str = in_body.text("url", longest=LONGEST_URL)


@dataclass(frozen=True, slots=True)
class PagerDutyBody:
    routing_key: str = in_body.text("routingKey")


@dataclass(frozen=True, slots=True)
class SnsBody:
    topic_arn: str = in_body.text("topicArn", longest=LONGEST_ARN)
    access_key_id: str = in_body.text("accessKeyId")
    secret_access_key: str = in_body.text("secretAccessKey")


@dataclass(frozen=True, slots=True)
class NewChannel:
    """What it is says one of the last four."""

    name: str | None = in_body.optional_text("name", longest=LONGEST_NAME)
    emails: Sequence[str] | None = emails(is_required=False)
    slack: SlackBody | None = in_body.optional_part("slack", SlackBody)
    pager_duty: PagerDutyBody | None = in_body.optional_part("pagerDuty", PagerDutyBody)
    sns: SnsBody | None = in_body.optional_part("sns", SnsBody)

    @property
    def way(self) -> Way:
        ways: list[Way] = []
        if self.emails is not None:
            ways.append(Emails(emails=self.emails))
        if self.slack is not None:
            ways.append(Slack(url=self.slack.url))
        if self.pager_duty is not None:
            ways.append(PagerDuty(routing_key=self.pager_duty.routing_key))
        if self.sns is not None:
            ways.append(
                Sns(
                    topic_arn=self.sns.topic_arn,
                    access_key_id=self.sns.access_key_id,
                    secret_access_key=self.sns.secret_access_key,
                )
            )
        if len(ways) != 1:
            raise bad_request(f"give one of {', '.join(_KINDS)}")
        return ways[0]


@dataclass(frozen=True, slots=True)
class ChannelUpdate:
    name: str | None = in_body.optional_text("name", longest=LONGEST_NAME)
    emails: Sequence[str] | None = emails(is_required=False)
    is_paused: bool | None = in_body.optional_flag("isPaused")


class ChannelListView(EngineView):
    writing_needs = Role.ADMIN

    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        found = channels_of(self.tenant.id)
        rows = [channel_shape(channel) for channel in page.slice(found)]
        return Response(page.answer(rows, count_up_to(found)))

    @takes_body(NewChannel)
    def post(self, request: Request, given: NewChannel, **_: Any) -> Response:
        """Make a channel. Its secret is in no answer."""
        now = datetime.now(UTC)
        return Response(
            channel_shape(create_channel(self.tenant.id, given.name or "", given.way, now))
        )


class OfChannel(EngineView):
    path_ids: ClassVar[tuple[str, ...]] = ("tenant", "channel")
    channel: AlertChannel

    def check_resource(self) -> None:
        found = find_channel(self.tenant.id, self.ids["channel"])
        if found is None:
            raise ApiError(404, "there is no such channel")
        self.channel = found


class ChannelView(OfChannel):
    writing_needs = Role.ADMIN

    def get(self, request: Request, **_: Any) -> Response:
        return Response(channel_shape(self.channel))

    @takes_body(ChannelUpdate)
    def patch(self, request: Request, given: ChannelUpdate, **_: Any) -> Response:
        update_channel(
            self.channel,
            datetime.now(UTC),
            name=given.name,
            emails=given.emails,
            is_paused=given.is_paused,
        )
        return Response(channel_shape(self.channel))

    def delete(self, request: Request, **_: Any) -> Response:
        shown = channel_shape(self.channel)
        delete_channel(self.channel)
        return Response(shown)


class TryChannelView(OfChannel):
    http_method_names = ("post", "options")

    def post(self, request: Request, **_: Any) -> Response:
        """Send a message that says nothing. The channel's notifications tell whether it arrived."""
        try_channel(self.channel, datetime.now(UTC))
        return Response(channel_shape(self.channel))


class ChannelNotificationsView(OfChannel):
    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        """What went or goes to the channel, newest first."""
        found = AlertNotification.objects.filter(channel_id=self.channel.id).order_by("-id")
        rows = [notification_shape(one) for one in page.slice(found)]
        return Response(page.answer(rows, count_up_to(found)))
