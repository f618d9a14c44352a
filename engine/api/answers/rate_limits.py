"""What endpoints about rate limits answer, under the names that clients know."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict
from uuid import UUID

from engine.states import RateLimitWindow
from tenants.rest.paging import PaginationResponse


class RateLimit(TypedDict):
    key: str
    tenantId: UUID
    limitValue: int
    value: int
    window: RateLimitWindow
    lastRefill: datetime
    pausedUntil: NotRequired[datetime]


class RateLimitList(TypedDict):
    pagination: PaginationResponse
    rows: list[RateLimit]
