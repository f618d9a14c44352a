"""Rate limits: the list, and forgetting one."""

from __future__ import annotations

from dataclasses import dataclass
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
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import AnyDict
from tenants.rest.paging import Page, count_up_to
from tenants.rest.render import timestamp


class OrderField(Enum):
    key = "key"
    value = "left"
    limitValue = "limit_value"  # noqa: N815  (the name on the wire)


class Direction(Enum):
    asc = ""
    desc = "-"


@dataclass(frozen=True, slots=True)
class RateLimitSelection:
    page: Page = part(Page)
    search: str | None = in_query.text("search")
    order: OrderField = in_query.member("orderByField", OrderField, OrderField.key)
    direction: Direction = in_query.member("orderByDirection", Direction, Direction.asc)


@dataclass(frozen=True, slots=True)
class NamedRateLimit:
    key: str = in_query.required_text("key")


class RateLimitsView(EngineView):
    @takes_query(RateLimitSelection)
    def get(self, request: Request, wanted: RateLimitSelection, **_: Any) -> Response:
        page, now = wanted.page, datetime.now(UTC)
        found = rate_limits_of(self.tenant.id, now, wanted.search or "")
        ordered = found.order_by(f"{wanted.direction.value}{wanted.order.value}", "key")
        rows: list[object] = []
        for chunk in page.chunks(ordered):
            rows += packed(rate_limit_shape(limit, now) for limit in chunk)
        return Response(page.answer(rows, count_up_to(found)))

    @takes_query(NamedRateLimit)
    def delete(self, request: Request, named: NamedRateLimit, **_: Any) -> Response:
        sync_db.run(delete_rate_limit(self.tenant.id, named.key))
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
