"""Groups of mail addresses that are told of alerts, as the contract has them: channels of one kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from tenants.rest.accepted import Parameter, read_as, takes_body, takes_query
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.in_query import list_of
from tenants.rest.paging import Page, count_up_to
from tenants.rest.params import Body
from webhooks.alert_models import ChannelKind
from webhooks.alerts.channel_changes import (
    LONGEST_EMAIL,
    MOST_EMAILS,
    Emails,
    create_channel,
    delete_channel,
    update_channel,
)
from webhooks.alerts.queries import channels_of
from webhooks.api.alert_shapes import group_shape
from webhooks.models import AlertChannel


def emails(*, is_required: bool) -> Any:
    """Sequence[str] | None"""
    name = "emails"
    address = {"type": "string", "format": "email", "maxLength": LONGEST_EMAIL}
    schema = list_of(address) | {"minItems": 1, "maxItems": MOST_EMAILS}

    def read(body: Body) -> Sequence[str] | None:
        if not is_required and not body.has(name):
            return None
        given = body.items(name)
        if not all(isinstance(item, str) for item in given):
            raise bad_request(f"{name} must be a list of texts", field=name)
        return given

    return read_as(read, Parameter(name, schema, is_required=is_required))


@dataclass(frozen=True, slots=True)
class Group:
    emails: Sequence[str] = emails(is_required=True)


class GroupListView(EngineView):
    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        found = channels_of(self.tenant.id, ChannelKind.EMAIL)
        rows = [group_shape(channel) for channel in page.slice(found)]
        return Response(page.answer(rows, count_up_to(found)))

    @takes_body(Group)
    def post(self, request: Request, given: Group, **_: Any) -> Response:
        way = Emails(emails=given.emails)
        made = create_channel(self.tenant.id, "", way, datetime.now(UTC))
        return Response(group_shape(made), status=201)


class ChannelByItself(EngineView):
    """A channel of one kind, whose path names no tenant."""

    kind: ClassVar[ChannelKind]
    channel: AlertChannel

    def find_tenant(self) -> UUID:
        [identity] = self.ids.values()
        found = AlertChannel.objects.filter(id=identity, kind=self.kind).first()
        if found is None:
            raise ApiError(404, "there is no such thing")
        self.channel = found
        return found.tenant_id


class GroupView(ChannelByItself):
    path_ids = ("group",)
    kind = ChannelKind.EMAIL
    http_method_names = ("patch", "delete", "options")

    @takes_body(Group)
    def patch(self, request: Request, given: Group, **_: Any) -> Response:
        update_channel(self.channel, datetime.now(UTC), emails=given.emails)
        return Response(group_shape(self.channel))

    def delete(self, request: Request, **_: Any) -> Response:
        delete_channel(self.channel)
        return Response(status=204)
