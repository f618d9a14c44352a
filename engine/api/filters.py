"""Filters: which events start a workflow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.payloads import json_object
from engine.api.views import EngineView
from engine.domain.cel import MAX_EXPRESSION_LENGTH
from engine.models import Filter
from engine.operations.change_filters import create_filter, delete_filter, update_filter
from engine.store import sync_db
from engine.store.filters import NewFilter
from tenants.api.errors import AnyDict, ApiError
from tenants.api.paging import MOST_ROWS, Page, count_up_to
from tenants.api.params import parse_uuid
from tenants.api.render import metadata

LONGEST_SCOPE = 1_000


class FilterListView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        page = Page.of(query, default_limit=MOST_ROWS)
        filters = Filter.objects.filter(tenant=self.tenant, workflow__deleted_at__isnull=True)
        workflow_ids, scopes = query.uuids("workflowIds"), query.texts("scopes")
        if workflow_ids:
            filters = filters.filter(workflow_id__in=workflow_ids)
        if scopes:
            filters = filters.filter(scope__in=scopes)
        may_view = self.access.can_view_payloads
        rows = [
            filter_shape(found, may_view=may_view) for found in page.slice(filters.order_by("-id"))
        ]
        return Response(page.answer(rows, count_up_to(filters)))

    def post(self, request: Request, **_: Any) -> Response:
        body = self.body
        new = NewFilter(
            scope=body.text("scope", longest=LONGEST_SCOPE),
            expression=body.text("expression", longest=MAX_EXPRESSION_LENGTH),
            payload=body.document("payload"),
        )
        workflow_id = parse_uuid(body.text("workflowId"), "workflowId")
        operation = create_filter(self.tenant.id, workflow_id, new, datetime.now(UTC))
        made = Filter.objects.get(id=sync_db.run(operation))
        return Response(filter_shape(made, may_view=self.access.can_view_payloads))


class FilterView(EngineView):
    path_ids = ("tenant", "filter")
    filter: Filter

    def check_resource(self) -> None:
        found = Filter.objects.filter(
            id=self.ids["filter"], tenant=self.tenant, workflow__deleted_at__isnull=True
        ).first()
        if found is None:
            raise ApiError(404, "there is no such filter")
        self.filter = found

    def get(self, request: Request, **_: Any) -> Response:
        return Response(filter_shape(self.filter, may_view=self.access.can_view_payloads))

    def patch(self, request: Request, **_: Any) -> Response:
        body = self.body
        longest = MAX_EXPRESSION_LENGTH
        operation = update_filter(
            self.tenant.id,
            self.filter.id,
            scope=body.text("scope", longest=LONGEST_SCOPE) if body.has("scope") else None,
            expression=body.text("expression", longest=longest) if body.has("expression") else None,
            payload=body.document("payload") if body.has("payload") else None,
            now=datetime.now(UTC),
        )
        sync_db.run(operation)
        self.filter.refresh_from_db()
        return self.get(request)

    def delete(self, request: Request, **_: Any) -> Response:
        sync_db.run(delete_filter(self.tenant.id, self.filter.id))
        return self.get(request)


def filter_shape(found: Filter, *, may_view: bool) -> AnyDict:
    return {
        "metadata": metadata(found.id, found.created_at, found.updated_at),
        "tenantId": str(found.tenant_id),
        "workflowId": str(found.workflow_id),
        "scope": found.scope,
        "expression": found.expression,
        "payload": json_object(bytes(found.payload)) if may_view else {},
        "isDeclarative": found.is_declared,
    }
