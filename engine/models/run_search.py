"""A search for runs in slices of time, from new to old, that says how far it looked back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from engine.ids import id_at, time_of
from engine.models.run_queries import runs_of
from engine.models.runs import Run

FIRST_SLICE = timedelta(hours=1)
SMALLEST_SLICE = timedelta(minutes=1)
STATEMENT_MS = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """Runs, newest first; `looked_back_to` is where the search ended, if that was before its end."""

    runs: list[Run]
    has_more: bool
    looked_back_to: datetime | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Runs made before the id `before` and since then; the tenant's oldest run is an end too."""

    tenant_id: UUID
    before: UUID
    since: datetime | None


def search(
    runs: QuerySet[Run], bounds: Bounds, *, size: int, clock: Callable[[], float], budget: float
) -> Found:
    """Look at one slice of time after another, each twice as long as the one before it.

    It ends with `size` runs, at the end, or when `budget` seconds of the clock are over: then it says how
    far it came. A slice that takes too long is made smaller.
    """
    began, width, found = clock(), FIRST_SLICE, list[Run]()
    floor = _floor(bounds)
    upper_id, upper = bounds.before, time_of(bounds.before)
    while floor is not None and upper > floor:
        lower = max(upper - width, floor)
        rows = _slice(runs, id_at(lower), upper_id, size + 1 - len(found))
        is_over = clock() - began > budget
        if rows is None:
            width /= 8
            if width < SMALLEST_SLICE or is_over:
                return Found(found, True, upper)
            continue
        found += rows
        if len(found) > size:
            return Found(found[:size], True, None)
        upper, upper_id = lower, id_at(lower)
        if is_over and upper > floor:
            return Found(found, True, upper)
        width *= 2
    return Found(found, False, None)


def _floor(bounds: Bounds) -> datetime | None:
    """Where the search may end; None if the tenant has no runs."""
    first = runs_of(bounds.tenant_id).order_by("id").values_list("id", flat=True).first()
    if first is None:
        return None
    oldest = time_of(first)
    return oldest if bounds.since is None else max(oldest, bounds.since)


def _slice(runs: QuerySet[Run], lower: UUID, upper: UUID, most: int) -> list[Run] | None:
    """The newest runs between two ids; None if that took too long."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MS:d}")
            page = runs.filter(id__gte=lower, id__lt=upper).order_by("-id")[:most]
            rows = list(page)
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = DEFAULT")
            return rows
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        return None
