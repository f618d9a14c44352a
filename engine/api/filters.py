"""Filters: which events start a workflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.views import EngineView
from engine.domain.cel.expressions import MAX_EXPRESSION_LENGTH
from engine.models import Filter
from engine.models.wide_columns import Wide, wide_values
from engine.operations.change_filters import create_filter, delete_filter, update_filter
from engine.store import sync_db
from engine.store.filters import NewFilter
from tenants.rest import in_body, in_query
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import AnyDict, ApiError
from tenants.rest.paging import MOST_ROWS, Page, count_up_to
from tenants.rest.render import metadata

LONGEST_SCOPE = 1_000


@dataclass(frozen=True, slots=True)
class FilterSelection(Page):
    limit: int = in_query.whole("limit", MOST_ROWS, minimum=1, maximum=MOST_ROWS)
    workflow_ids: list[UUID] = in_query.uuids("workflowIds")
    scopes: list[str] = in_query.texts("scopes")


@dataclass(frozen=True, slots=True)
class NewFilterBody:
    scope: str = in_body.text("scope", longest=LONGEST_SCOPE)
    expression: str = in_body.text("expression", longest=MAX_EXPRESSION_LENGTH)
    payload: bytes = in_body.document("payload")
    workflow_id: UUID = in_body.uuid("workflowId")


@dataclass(frozen=True, slots=True)
class FilterUpdate:
    scope: str | None = in_body.optional_text("scope", longest=LONGEST_SCOPE)
    expression: str | None = in_body.optional_text("expression", longest=MAX_EXPRESSION_LENGTH)
    payload: bytes | None = in_body.optional_document("payload")


class FilterListView(EngineView):
    @takes_query(FilterSelection)
    def get(self, request: Request, page: FilterSelection, **_: Any) -> Response:
        filters = _lean_filters().filter(tenant=self.tenant, workflow__deleted_at__isnull=True)
        if page.workflow_ids:
            filters = filters.filter(workflow_id__in=page.workflow_ids)
        if page.scopes:
            filters = filters.filter(scope__in=page.scopes)
        may_view, room = self.access.can_view_payloads, Room()
        rows: list[object] = []
        for chunk in page.chunks(filters.order_by("-id")):
            rows += packed(filter_rows(chunk, may_view=may_view, room=room))
        return Response(page.answer(rows, count_up_to(filters)))

    @takes_body(NewFilterBody)
    def post(self, request: Request, given: NewFilterBody, **_: Any) -> Response:
        new = NewFilter(scope=given.scope, expression=given.expression, payload=given.payload)
        operation = create_filter(self.tenant.id, given.workflow_id, new, datetime.now(UTC))
        made = _lean_filters().get(id=sync_db.run(operation))
        may_view = self.access.can_view_payloads
        return Response(filter_rows([made], may_view=may_view, room=Room())[0])


class FilterView(EngineView):
    path_ids = ("tenant", "filter")
    filter: Filter

    def check_resource(self) -> None:
        found = (
            _lean_filters()
            .filter(id=self.ids["filter"], tenant=self.tenant, workflow__deleted_at__isnull=True)
            .first()
        )
        if found is None:
            raise ApiError(404, "there is no such filter")
        self.filter = found

    def get(self, request: Request, **_: Any) -> Response:
        return Response(self._shown())

    @takes_body(FilterUpdate)
    def patch(self, request: Request, wanted: FilterUpdate, **_: Any) -> Response:
        operation = update_filter(
            self.tenant.id,
            self.filter.id,
            scope=wanted.scope,
            expression=wanted.expression,
            payload=wanted.payload,
            now=datetime.now(UTC),
        )
        sync_db.run(operation)
        self.check_resource()
        return Response(self._shown())

    def delete(self, request: Request, **_: Any) -> Response:
        shown = self._shown()
        sync_db.run(delete_filter(self.tenant.id, self.filter.id))
        return Response(shown)

    def _shown(self) -> AnyDict:
        may_view = self.access.can_view_payloads
        return filter_rows([self.filter], may_view=may_view, room=Room())[0]


def _lean_filters() -> QuerySet[Filter]:
    return Filter.objects.defer("payload", "expression", "digest")


def filter_rows(filters: Sequence[Filter], *, may_view: bool, room: Room) -> list[AnyDict]:
    rows = Filter.objects.filter(id__in=[found.id for found in filters])
    carried = wide_values(rows, ["payload", "expression"], room=room.left)
    return [
        _filter_shape(found, carried.get(found.id, {}), room, may_view=may_view)
        for found in filters
    ]


def _filter_shape(
    found: Filter, carried: Mapping[str, Wide], room: Room, *, may_view: bool
) -> AnyDict:
    return {
        "metadata": metadata(found.id, found.created_at, found.updated_at),
        "tenantId": str(found.tenant_id),
        "workflowId": str(found.workflow_id),
        "scope": found.scope,
        "expression": room.text(carried.get("expression")) or "",
        "payload": room.json(carried.get("payload")) if may_view else {},
        "isDeclarative": found.is_declared,
    }
