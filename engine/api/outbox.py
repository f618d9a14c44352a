"""What programs asked for in SQL and could not be carried out: shown, tried again, dismissed."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.models import OutboxRow
from engine.operations.take_outbox import dismiss_wish, retry_wish
from engine.states import OutboxKind
from engine.store import sync_db
from tenants.rest.accepted import takes_query
from tenants.rest.errors import AnyDict, ApiError
from tenants.rest.paging import Page, count_up_to
from tenants.rest.render import timestamp


class OutboxView(EngineView):
    @takes_query(Page)
    def get(self, request: Request, page: Page, **_: Any) -> Response:
        found = _refused().filter(tenant_id=self.tenant.id).order_by("-id")
        rows = [_shape(row) for chunk in page.chunks(found) for row in chunk]
        return Response(page.answer(rows, count_up_to(found)))


class _OneRowView(EngineView):
    path_ids: ClassVar[tuple[str, ...]] = ("tenant", "row")
    row: OutboxRow

    def check_resource(self) -> None:
        found = _refused().filter(tenant_id=self.tenant.id, id=self.ids["row"]).first()
        if found is None:
            raise ApiError(404, "there is no such row that could not be carried out")
        self.row = found


class OutboxRowView(_OneRowView):
    def delete(self, request: Request, **_: Any) -> Response:
        sync_db.run(dismiss_wish(self.tenant.id, self.row.id))
        return Response(_shape(self.row))


class OutboxRetryView(_OneRowView):
    """Has it tried again: it is gone if that succeeds, or shown again."""

    def post(self, request: Request, **_: Any) -> Response:
        sync_db.run(retry_wish(self.tenant.id, self.row.id))
        return Response(_shape(self.row))


def _refused() -> QuerySet[OutboxRow]:
    return OutboxRow.objects.filter(failed_at__isnull=False).defer("data", "metadata")


def _shape(row: OutboxRow) -> AnyDict:
    return without_nones(
        {
            "id": str(row.id),
            "kind": OutboxKind(row.kind).name,
            "name": row.name or None,
            "targetId": str(row.target_id) if row.target_id else None,
            "role": row.role,
            "createdAt": timestamp(row.created_at),
            "failedAt": timestamp(row.failed_at),
            "failure": row.failure or "",
        }
    )
