"""Reads of rate limits, for people and clients."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Case, F, IntegerField, QuerySet, Value, When
from django.db.models.functions import Greatest

from engine.domain.rate_limits import TOLERANCE_SECONDS
from engine.models.rate_limits import RateLimit
from engine.states import RateLimitWindow


def rate_limits_of(tenant_id: UUID, now: datetime, search: str = "") -> QuerySet[RateLimit]:
    """Return the tenant's limits with what is `left` of each at `now`: all of it after its window."""
    over = [
        When(
            window=window,
            refilled_at__lte=now - timedelta(seconds=window.seconds - TOLERANCE_SECONDS),
            then=F("limit_value"),
        )
        for window in RateLimitWindow
    ]
    left = Case(*over, default=Greatest(F("value"), Value(0)), output_field=IntegerField())
    found = RateLimit.objects.filter(tenant_id=tenant_id)
    if search:
        found = found.filter(key__icontains=search)
    return found.annotate(left=left)
