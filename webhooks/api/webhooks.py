"""Webhooks: where outside systems send events to. Addressed by name, not by id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.views import EngineView
from engine.domain.cel.expressions import MAX_EXPRESSION_LENGTH
from tenants.rest import in_body, in_query
from tenants.rest.accepted import Parameter, read_as, takes_body, takes_query
from tenants.rest.errors import ApiError
from tenants.rest.paging import Page, count_up_to
from tenants.rest.params import Body
from webhooks.api.credentials import credentials
from webhooks.api.shapes import webhook_shape
from webhooks.changes import LONGEST_NAME, NewWebhook, create_webhook, update_webhook
from webhooks.credentials import Credentials
from webhooks.models import Webhook
from webhooks.queries import find_webhook
from webhooks.receive import NOT_FOUND, receive


@dataclass(frozen=True, slots=True)
class WebhookSelection(Page):
    source_names: list[str] = in_query.texts("sourceNames")
    names: list[str] = in_query.texts("webhookNames")


def _scope_expression() -> Any:
    """str | None; a blank one is none at all."""
    name = "scopeExpression"

    def read(body: Body) -> str | None:
        if not body.has(name):
            return None
        return body.any_text(name, longest=MAX_EXPRESSION_LENGTH).strip()

    return read_as(read, Parameter(name, {"type": "string", "maxLength": MAX_EXPRESSION_LENGTH}))


@dataclass(frozen=True, slots=True)
class NewWebhookBody:
    name: str = in_body.text("name", longest=LONGEST_NAME)
    source_name: str = in_body.text("sourceName")
    event_key_expression: str = in_body.text("eventKeyExpression", longest=MAX_EXPRESSION_LENGTH)
    scope_expression: str | None = _scope_expression()
    static_payload: bytes | None = in_body.optional_document("staticPayload")
    returns_event: bool | None = in_body.optional_flag("returnEventAsResponsePayload")
    credentials: Credentials = credentials()


@dataclass(frozen=True, slots=True)
class WebhookUpdate:
    event_key_expression: str | None = in_body.optional_text(
        "eventKeyExpression", longest=MAX_EXPRESSION_LENGTH
    )
    scope_expression: str | None = _scope_expression()
    static_payload: bytes | None = in_body.optional_document("staticPayload")
    returns_event: bool | None = in_body.optional_flag("returnEventAsResponsePayload")


class WebhookListView(EngineView):
    @takes_query(WebhookSelection)
    def get(self, request: Request, page: WebhookSelection, **_: Any) -> Response:
        found = Webhook.objects.filter(tenant=self.tenant)
        if page.source_names:
            found = found.filter(source_name__in=page.source_names)
        if page.names:
            found = found.filter(name__in=page.names)
        may_view, room = self.access.can_view_payloads, Room()
        rows = packed(
            webhook_shape(webhook, room, may_view=may_view)
            for chunk in page.chunks(found.order_by("-id"))
            for webhook in chunk
        )
        return Response(page.answer(rows, count_up_to(found)))

    @takes_body(NewWebhookBody)
    def post(self, request: Request, given: NewWebhookBody, **_: Any) -> Response:
        new = NewWebhook(
            name=given.name,
            source_name=given.source_name,
            event_key_expression=given.event_key_expression,
            scope_expression=given.scope_expression or "",
            static_payload=given.static_payload,
            returns_event=given.returns_event is not False,
            credentials=given.credentials,
        )
        made = create_webhook(self.tenant.id, new, datetime.now(UTC))
        may_view = self.access.can_view_payloads
        return Response(webhook_shape(made, Room(), may_view=may_view))


class WebhookView(EngineView):
    """A webhook by its name. POST is not for whoever looks after it, but for senders."""

    limited_methods = ("GET",)
    webhook: Webhook

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            return self.post(request, **kwargs)
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, tenant: str, name: str) -> HttpResponseBase:
        return receive(request, tenant, name)

    def check_resource(self) -> None:
        name = self.kwargs["name"]
        found = find_webhook(self.tenant.id, name) if "\0" not in name else None
        if found is None:
            raise ApiError(404, NOT_FOUND)
        self.webhook = found

    def get(self, request: Request, **_: Any) -> Response:
        return self._shown()

    @takes_body(WebhookUpdate)
    def patch(self, request: Request, given: WebhookUpdate, **_: Any) -> Response:
        update_webhook(
            self.webhook,
            datetime.now(UTC),
            event_key_expression=given.event_key_expression,
            scope_expression=given.scope_expression,
            static_payload=given.static_payload,
            returns_event=given.returns_event,
        )
        return self._shown()

    def delete(self, request: Request, **_: Any) -> Response:
        shown = self._shown()
        self.webhook.delete()
        return shown

    def _shown(self) -> Response:
        may_view = self.access.can_view_payloads
        return Response(webhook_shape(self.webhook, Room(), may_view=may_view))
