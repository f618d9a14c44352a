"""Counting what the event log says, up to now, as the engines do a little later."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from engine.models import FiguresPosition, TenantTotal
from engine.operations.count_events import count_events
from engine.states import TenantMetric
from engine.store import sync_db
from engine.store.figures import SUM

NOT_A_MOMENT = timedelta(milliseconds=1)


def begin_counting() -> None:
    """Have what is written from now on counted."""
    now = datetime.now(UTC)
    FiguresPosition.objects.update_or_create(name="event log", defaults={"counted_until": now})


def count_on() -> None:
    """Count what was written since it was counted the last time."""
    time.sleep(0.002)  # ids are no finer than a millisecond
    end = datetime.now(UTC)
    while sync_db.run(count_events(end, at_least=NOT_A_MOMENT)) is not None:
        pass


def totals_of(tenant_id: UUID) -> dict[str, float]:
    """What was counted of a tenant, but for histograms, by the name of the metric."""
    rows = TenantTotal.objects.filter(tenant_id=tenant_id, metric__lt=TenantMetric.QUEUE_SECONDS)
    return {TenantMetric(row.metric).name: row.value for row in rows}


def observed(tenant_id: UUID, metric: TenantMetric) -> tuple[float, float]:
    """How many times a histogram holds, and their sum."""
    rows = TenantTotal.objects.filter(tenant_id=tenant_id, metric=metric)
    number = sum(row.value for row in rows if row.bucket != SUM)
    return number, sum(row.value for row in rows if row.bucket == SUM)
