"""Endpoints of outgoing webhooks: what is told to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.views import EngineView
from tenants.models import Role
from tenants.rest import in_body
from tenants.rest.accepted import Parameter, read_as, takes_body, takes_query
from tenants.rest.errors import ApiError
from tenants.rest.in_query import UUID_TEXT, list_of
from tenants.rest.paging import Page, count_up_to
from tenants.rest.params import Body, parse_uuid
from tenants.rest.views import PublicView
from webhooks.api.endpoint_shapes import endpoint_shape
from webhooks.models import Endpoint
from webhooks.outgoing import changes
from webhooks.outgoing.asyncapi import document
from webhooks.outgoing.changes import (
    LONGEST_DESCRIPTION,
    LONGEST_ROTATION,
    LONGEST_SECRET,
    MOST_WORKFLOWS,
    ROTATION,
    NewEndpoint,
)
from webhooks.outgoing.kinds import KINDS
from webhooks.outgoing.queries import endpoints_of, find_endpoint
from webhooks.outgoing.targets import LONGEST_URL


def _kinds(*, is_required: bool) -> Any:
    """Sequence[str] | None"""
    name = "kinds"
    schema = list_of({"type": "string", "enum": list(KINDS)}) | {"minItems": 1}

    def read(body: Body) -> Sequence[str] | None:
        if not is_required and not body.has(name):
            return None
        return [kind if isinstance(kind, str) else "" for kind in body.items(name)]

    return read_as(read, Parameter(name, schema, is_required=is_required))


def _workflow_ids() -> Any:
    """Sequence[UUID] | None; none at all are all workflows."""
    name = "workflowIds"
    schema = list_of(UUID_TEXT) | {"maxItems": MOST_WORKFLOWS}

    def read(body: Body) -> Sequence[UUID] | None:
        if not body.has(name):
            return None
        return [parse_uuid(item, name) for item in body.items(name)[: MOST_WORKFLOWS + 1]]

    return read_as(read, Parameter(name, schema))


def _description() -> Any:
    """str | None; a blank one clears it."""
    name = "description"
    schema = {"type": "string", "maxLength": LONGEST_DESCRIPTION}

    def read(body: Body) -> str | None:
        return body.any_text(name, longest=LONGEST_DESCRIPTION) if body.has(name) else None

    return read_as(read, Parameter(name, schema))


@dataclass(frozen=True, slots=True)
class NewEndpointBody:
    url: str = in_body.text("url", longest=LONGEST_URL)
    kinds: Sequence[str] = _kinds(is_required=True)
    description: str | None = _description()
    workflow_ids: Sequence[UUID] | None = _workflow_ids()
    secret: str | None = in_body.optional_text("secret", longest=LONGEST_SECRET)


@dataclass(frozen=True, slots=True)
class EndpointUpdate:
    url: str | None = in_body.optional_text("url", longest=LONGEST_URL)
    kinds: Sequence[str] | None = _kinds(is_required=False)
    description: str | None = _description()
    workflow_ids: Sequence[UUID] | None = _workflow_ids()
    is_paused: bool | None = in_body.optional_flag("isPaused")


@dataclass(frozen=True, slots=True)
class Rotation:
    secret: str | None = in_body.optional_text("secret", longest=LONGEST_SECRET)
    overlap_seconds: int | None = in_body.optional_whole(
        "overlapSeconds", minimum=0, maximum=int(LONGEST_ROTATION.total_seconds())
    )


class EndpointListView(EngineView):
    writing_needs = Role.ADMIN
    takes_idempotency_key = False

    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        found = endpoints_of(self.tenant.id)
        rows = [endpoint_shape(endpoint) for endpoint in page.slice(found)]
        return Response(page.answer(rows, count_up_to(found)))

    @takes_body(NewEndpointBody)
    def post(self, request: Request, given: NewEndpointBody, **_: Any) -> Response:
        """Make an endpoint. The answer is the only one that holds its secret."""
        new = NewEndpoint(
            url=given.url,
            kinds=given.kinds,
            description=given.description or "",
            workflow_ids=given.workflow_ids or (),
            secret=given.secret,
        )
        made, secret = changes.create_endpoint(self.tenant.id, new, datetime.now(UTC))
        return Response(endpoint_shape(made, secret))


class OfEndpoint(EngineView):
    """What is below one endpoint."""

    path_ids: ClassVar[tuple[str, ...]] = ("tenant", "endpoint")
    endpoint: Endpoint

    def check_resource(self) -> None:
        found = find_endpoint(self.tenant.id, self.ids["endpoint"])
        if found is None:
            raise ApiError(404, "there is no such endpoint")
        self.endpoint = found


class EndpointView(OfEndpoint):
    writing_needs = Role.ADMIN

    def get(self, request: Request, **_: Any) -> Response:
        return Response(endpoint_shape(self.endpoint))

    @takes_body(EndpointUpdate)
    def patch(self, request: Request, given: EndpointUpdate, **_: Any) -> Response:
        now = datetime.now(UTC)
        changes.update_endpoint(
            self.endpoint,
            now,
            url=given.url,
            description=given.description,
            kinds=given.kinds,
            workflow_ids=given.workflow_ids,
        )
        if given.is_paused is not None:
            changes.set_paused(self.endpoint, is_paused=given.is_paused, now=now)
        return Response(endpoint_shape(self.endpoint))

    def delete(self, request: Request, **_: Any) -> Response:
        shown = endpoint_shape(self.endpoint)
        changes.delete_endpoint(self.endpoint)
        return Response(shown)


class RotateSecretView(OfEndpoint):
    writing_needs = Role.ADMIN
    takes_idempotency_key = False
    http_method_names = ("post", "options")

    @takes_body(Rotation)
    def post(self, request: Request, given: Rotation, **_: Any) -> Response:
        """Change the secret. Both sign until the overlap is over; the new one is shown here alone."""
        seconds = given.overlap_seconds
        overlap = ROTATION if seconds is None else timedelta(seconds=seconds)
        now = datetime.now(UTC)
        secret = changes.rotate_secret(self.endpoint, now, secret=given.secret, overlap=overlap)
        return Response(endpoint_shape(self.endpoint, secret))


class KindListView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        rows = [{"name": kind.name, "summary": kind.summary} for kind in KINDS.values()]
        return Response({"rows": rows})


class AsyncApiView(PublicView):
    """The messages, described for machines."""

    def get(self, request: Request, **_: Any) -> HttpResponse:
        return HttpResponse(document(), content_type="application/yaml")
