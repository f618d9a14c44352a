"""Webhooks: where outside systems send events to. Addressed by name, not by id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.views import EngineView
from engine.domain.cel.expressions import MAX_EXPRESSION_LENGTH
from tenants.rest.errors import ApiError
from tenants.rest.paging import Page, count_up_to
from tenants.rest.params import Body, parse_member
from webhooks.api.shapes import webhook_shape
from webhooks.changes import (
    LONGEST_NAME,
    LONGEST_SECRET,
    LONGEST_USER,
    NewWebhook,
    basic_secret,
    create_webhook,
    update_webhook,
)
from webhooks.credentials import Algorithm, Credentials, Encoding
from webhooks.models import AuthType, Webhook
from webhooks.queries import find_webhook
from webhooks.receive import NOT_FOUND, receive


class WebhookListView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        page = Page.of(query)
        found = Webhook.objects.filter(tenant=self.tenant)
        for name, column in (("sourceNames", "source_name"), ("webhookNames", "name")):
            if texts := query.texts(name):
                found = found.filter(**{f"{column}__in": texts})
        may_view, room = self.access.can_view_payloads, Room()
        rows = packed(
            webhook_shape(webhook, room, may_view=may_view)
            for chunk in page.chunks(found.order_by("-id"))
            for webhook in chunk
        )
        return Response(page.answer(rows, count_up_to(found)))

    def post(self, request: Request, **_: Any) -> Response:
        body = self.body
        new = NewWebhook(
            name=body.text("name", longest=LONGEST_NAME),
            source_name=body.text("sourceName"),
            event_key_expression=body.text("eventKeyExpression", longest=MAX_EXPRESSION_LENGTH),
            scope_expression=_scope_expression(body) or "",
            static_payload=body.document("staticPayload") if body.has("staticPayload") else None,
            returns_event=body.flag("returnEventAsResponsePayload", True),
            credentials=_credentials(body),
        )
        made = create_webhook(self.tenant.id, new, datetime.now(UTC))
        may_view = self.access.can_view_payloads
        return Response(webhook_shape(made, Room(), may_view=may_view))


class WebhookView(EngineView):
    """A webhook by its name. POST is not for whoever looks after it, but for senders."""

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

    def patch(self, request: Request, **_: Any) -> Response:
        body, longest = self.body, MAX_EXPRESSION_LENGTH
        key = "eventKeyExpression"
        answer = "returnEventAsResponsePayload"
        update_webhook(
            self.webhook,
            datetime.now(UTC),
            event_key_expression=body.text(key, longest=longest) if body.has(key) else None,
            scope_expression=_scope_expression(body),
            static_payload=body.document("staticPayload") if body.has("staticPayload") else None,
            returns_event=body.flag(answer, True) if body.has(answer) else None,
        )
        return self._shown()

    def delete(self, request: Request, **_: Any) -> Response:
        shown = self._shown()
        self.webhook.delete()
        return shown

    def _shown(self) -> Response:
        may_view = self.access.can_view_payloads
        return Response(webhook_shape(self.webhook, Room(), may_view=may_view))


def _scope_expression(body: Body) -> str | None:
    name = "scopeExpression"
    return body.any_text(name, longest=MAX_EXPRESSION_LENGTH).strip() if body.has(name) else None


def _credentials(body: Body) -> Credentials:
    kind = parse_member(AuthType, body.text("authType"), "authType")
    auth: Mapping[str, Any] = body.mapping("auth")
    given = Body(auth)
    match kind:
        case AuthType.BASIC:
            user = given.text("username", longest=LONGEST_USER)
            password = given.text("password", longest=LONGEST_SECRET)
            return Credentials(auth_type=kind, secret=basic_secret(user, password))
        case AuthType.API_KEY:
            return Credentials(
                auth_type=kind,
                secret=given.text("apiKey", longest=LONGEST_SECRET),
                header_name=given.text("headerName"),
            )
        case AuthType.HMAC:
            return Credentials(
                auth_type=kind,
                secret=given.text("signingSecret", longest=LONGEST_SECRET),
                header_name=given.text("signatureHeaderName"),
                algorithm=parse_member(Algorithm, given.text("algorithm"), "algorithm"),
                encoding=parse_member(Encoding, given.text("encoding"), "encoding"),
            )
