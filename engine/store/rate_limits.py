"""Statements of engine/sql/rate_limit.sql: what is left of each key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.rate_limits import LimitState, Taken, consumed
from engine.states import RateLimitWindow
from engine.store.query import Query, no_row, the_value


class RateLimitRow(NamedTuple):
    key: str
    limit_value: int
    window: int
    value: int
    refilled_at: datetime
    paused_until: datetime | None
    is_dynamic: bool

    def state(self) -> LimitState:
        """Return the row as the rules see it."""
        return LimitState(
            self.limit_value,
            RateLimitWindow(self.window),
            self.value,
            self.refilled_at.timestamp(),
            self.paused_until.timestamp() if self.paused_until else None,
            self.is_dynamic,
        )


def put(
    tenant_id: UUID, key: str, limit: int, window: RateLimitWindow, now: datetime
) -> Query[None]:
    return Query(
        "rate_limit.put",
        {
            "tenant_id": tenant_id,
            "key": key,
            "limit_value": limit,
            "window": int(window),
            "now": now,
        },
        no_row,
    )


def pause(tenant_id: UUID, key: str, until: datetime, now: datetime) -> Query[datetime]:
    return Query(
        "rate_limit.pause",
        {"tenant_id": tenant_id, "key": key, "until": until, "now": now},
        the_value,
    )


def delete(tenant_id: UUID, key: str) -> Query[str]:
    return Query("rate_limit.delete", {"tenant_id": tenant_id, "key": key}, the_value)


def of_tenant(tenant_id: UUID) -> Query[RateLimitRow]:
    return Query("rate_limit.of_tenant", {"tenant_id": tenant_id}, RateLimitRow)


def settings(tenant_id: UUID) -> Query[RateLimitRow]:
    return Query("rate_limit.settings", {"tenant_id": tenant_id}, RateLimitRow)


def by_keys(tenant_id: UUID, keys: Sequence[str]) -> Query[RateLimitRow]:
    return Query("rate_limit.by_keys", {"tenant_id": tenant_id, "keys": list(keys)}, RateLimitRow)


def forget_idle(idle_since: datetime) -> Query[None]:
    seconds = [window.seconds for window in RateLimitWindow]
    return Query(
        "rate_limit.forget_idle", {"idle_since": idle_since, "window_seconds": seconds}, no_row
    )


def consume(takings: Iterable[tuple[UUID, Sequence[Taken]]], now: datetime) -> Query[None]:
    """`takings` are what tasks of each tenant have taken."""
    taken_of: dict[UUID, list[Taken]] = defaultdict(list)
    for tenant_id, listed in takings:
        taken_of[tenant_id] += listed
    rows = [
        (tenant_id, taken)
        for tenant_id in sorted(taken_of)
        for taken in consumed(taken_of[tenant_id])
    ]
    return Query(
        "rate_limit.consume",
        {
            "now": now,
            "tenant_ids": [tenant_id for tenant_id, _ in rows],
            "keys": [taken.key for _, taken in rows],
            "units": [taken.units for _, taken in rows],
            "sinces": [taken.since for _, taken in rows],
            "limit_values": [taken.limit for _, taken in rows],
            "windows": [int(taken.window) for _, taken in rows],
            "dynamics": [taken.is_dynamic for _, taken in rows],
        },
        no_row,
    )
