"""What is too old, by the periods of the installation and of its tenants.

Whole UTC days go: what is kept for a time is kept until the day in which it was made is over for as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from engine.retention_config import RetentionConfig
from engine.store.retention import Cutoffs, Day, PeriodRow

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LATE = timedelta(minutes=1)


def cutoffs_of(
    kind: str, rows: Sequence[PeriodRow], config: RetentionConfig, now: datetime
) -> Cutoffs:
    """Return before which day each tenant keeps nothing of a kind."""
    default = config.of(kind)
    seconds_of: dict[UUID, int | None] = {}
    for row in rows:
        seconds_of.setdefault(row.tenant_id, None)
        if row.kind == kind:
            seconds_of[row.tenant_id] = row.seconds
    starts = [
        day_of(now, default if seconds is None else timedelta(seconds=seconds))
        for seconds in seconds_of.values()
    ]
    befores = [first_id(start) for start in starts]
    latest = max(befores, default=UUID(int=0))
    return Cutoffs(list(seconds_of), befores, starts, latest, now)


def expired_days(days: Sequence[str], cutoffs: Cutoffs) -> list[Day]:
    """Return those of these days (YYYYMMDD) that are over for some tenant at least."""
    found = []
    for name in days:
        start = datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC)
        end = start + timedelta(days=1)
        until = first_id(end)
        if until > cutoffs.latest:
            continue
        holders = [
            tenant_id
            for tenant_id, before in zip(cutoffs.tenant_ids, cutoffs.befores, strict=True)
            if before < until
        ]
        found.append(Day(name, first_id(start), until, first_id(end + _LATE), holders))
    return found


def first_id(moment: datetime) -> UUID:
    """Return where the ids of a moment begin: the bound of a day's partition."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def day_of(now: datetime, period: timedelta) -> datetime:
    """Return the start of the day that is not over for so long."""
    moment = max(_FIRST, now - min(period, now - _FIRST))
    return datetime.combine(moment.astimezone(UTC).date(), time(), tzinfo=UTC)
