"""Rate limits: the list, and forgetting one."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import packed
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.models import RateLimit
from engine.models.rate_limit_queries import rate_limits_of
from engine.operations.change_rate_limits import delete_rate_limit
from engine.states import RateLimitWindow
from engine.store import sync_db
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.paging import Page, count_up_to
from tenants.rest.render import timestamp


class OrderField(Enum):
    key = "key"
    value = "left"
    limitValue = "limit_value"  # noqa: N815  (the name on the wire)


class Direction(Enum):
    asc = ""
    desc = "-"


class RateLimitsView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        query, now = self.query, datetime.now(UTC)
        page = Page.of(query)
        found = rate_limits_of(self.tenant.id, now, query.text("search") or "")
        field = query.member("orderByField", OrderField, OrderField.key)
        direction = query.member("orderByDirection", Direction, Direction.asc)
        ordered = found.order_by(f"{direction.value}{field.value}", "key")
        rows: list[object] = []
        for chunk in page.chunks(ordered):
            rows += packed(rate_limit_shape(limit, now) for limit in chunk)
        return Response(page.answer(rows, count_up_to(found)))

    def delete(self, request: Request, **_: Any) -> Response:
        key = self.query.text("key")
        if key is None:
            raise bad_request("key is required", field="key")
        sync_db.run(delete_rate_limit(self.tenant.id, key))
        return Response(status=204)


def rate_limit_shape(limit: RateLimit, now: datetime) -> AnyDict:
    paused_until = limit.paused_until
    return without_nones(
        {
            "key": limit.key,
            "tenantId": str(limit.tenant_id),
            "limitValue": limit.limit_value,
            "value": getattr(limit, "left", limit.value),
            "window": RateLimitWindow(limit.window).name,
            "lastRefill": timestamp(limit.refilled_at),
            "pausedUntil": timestamp(paused_until) if paused_until and paused_until > now else None,
        }
    )
