"""Statements of engine/sql/resource_limit.sql."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Query, the_value
from tenants.resources import Limit, Resource


class LimitRow(NamedTuple):
    """Without a value of its own the installation's holds; `value` is what was taken or counted last."""

    resource: str
    limit_value: int | None
    alarm_value: int | None
    value: int
    window_began_at: datetime | None


class Level(IntEnum):
    """How much of a limit is used, as far as people are told of it."""

    FAR = 0
    NEAR = 1
    REACHED = 2


class Announced(NamedTuple):
    """A tenant whose `level` is another one than when it was told of last."""

    tenant_id: UUID
    resource: str
    level: int
    value: int
    most: int


def take(
    resource: Resource, limit: Limit, amounts: Mapping[UUID, int], now: datetime
) -> Query[int]:
    return Query(
        "resource_limit.take",
        {
            "tenant_ids": list(amounts),
            "amounts": list(amounts.values()),
            "kind": resource.value,
            "most": limit.value,
            "window_seconds": limit.window_seconds,
            "now": now,
        },
        the_value,
    )


def lock(tenant_id: UUID, resource: Resource) -> Query[int]:
    return Query("resource_limit.lock", {"tenant_id": tenant_id, "kind": resource.value}, the_value)


def hold(tenant_id: UUID, resource: Resource, *, value: int, amount: int, most: int) -> Query[int]:
    params = {"tenant_id": tenant_id, "kind": resource.value, "value": value}
    return Query("resource_limit.hold", params | {"amount": amount, "most": most}, the_value)


def rows(tenant_id: UUID) -> Query[LimitRow]:
    return Query("resource_limit.rows", {"tenant_id": tenant_id}, LimitRow)


def announce(limits: Mapping[Resource, Limit], now: datetime) -> Query[Announced]:
    return Query(
        "resource_limit.announce",
        {
            "kinds": [resource.value for resource in limits],
            "mosts": [limit.value for limit in limits.values()],
            "alarms": [limit.alarm for limit in limits.values()],
            "windows": [limit.window_seconds for limit in limits.values()],
            "now": now,
        },
        Announced,
    )


def count_crons(tenant_id: UUID) -> Query[int]:
    return Query("resource_limit.count_crons", {"tenant_id": tenant_id}, the_value)


def count_schedules(tenant_id: UUID) -> Query[int]:
    return Query("resource_limit.count_schedules", {"tenant_id": tenant_id}, the_value)


def count_workers(tenant_id: UUID, since: datetime) -> Query[int]:
    return Query(
        "resource_limit.count_workers", {"tenant_id": tenant_id, "since": since}, the_value
    )


def count_slots(tenant_id: UUID, since: datetime) -> Query[int]:
    return Query("resource_limit.count_slots", {"tenant_id": tenant_id, "since": since}, the_value)


def count_tokens(tenant_id: UUID, now: datetime) -> Query[int]:
    return Query("resource_limit.count_tokens", {"tenant_id": tenant_id, "now": now}, the_value)
