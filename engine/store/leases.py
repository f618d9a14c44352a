"""Statements of engine/sql/lease.sql: which engine schedules which tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from engine.store.query import Operation, Query, fetch_last, no_row, the_value

LEASE_SECONDS = 3.0
SILENT_SECONDS = 1.5
"""An engine without a session is dead after this long without a heartbeat; they come once a second."""
_PRESENCE = 0x68617470
"""The class of the advisory locks that say which engines are there."""


class LeaseRow(NamedTuple):
    tenant_id: UUID
    epoch: int


class SurveyRow(NamedTuple):
    """A tenant and its lease; `tenant_id` is None in the one row of an installation without tenants."""

    tenant_id: UUID | None
    engine_id: UUID | None
    epoch: int
    is_free: bool
    engine_count: int
    peers: int
    """The same as long as the same other engines are alive."""


def hold(epochs: Mapping[UUID, int]) -> Query[None]:
    return Query(
        "lease.hold", {"tenant_ids": list(epochs), "epochs": list(epochs.values())}, no_row
    )


def renew(engine_id: UUID, host: str) -> Query[SurveyRow]:
    return Query(
        "lease.renew",
        {"engine_id": engine_id, "host": host, "lease_seconds": LEASE_SECONDS},
        SurveyRow,
    )


def renew_and_survey(engine_id: UUID, host: str, *, has_peers: bool) -> Operation[list[SurveyRow]]:
    """Renew our leases and look at all of them; where there are others, free those of dead engines."""
    if not has_peers:
        (rows,) = yield from fetch_last(renew(engine_id, host))
        return rows
    _, rows = yield from fetch_last(end_silent(engine_id), renew(engine_id, host))
    return rows


def end_silent(engine_id: UUID) -> Query[UUID]:
    """Free the leases of other engines that died; return the tenants."""
    return Query(
        "lease.end_silent",
        {"engine_id": engine_id, "silent_seconds": SILENT_SECONDS, "presence": _PRESENCE},
        the_value,
    )


def be_present(engine_id: UUID) -> Query[str]:
    return Query("lease.be_present", {"engine_id": engine_id, "presence": _PRESENCE}, the_value)


def make(tenant_ids: Sequence[UUID]) -> Query[UUID]:
    return Query("lease.make", {"tenant_ids": list(tenant_ids)}, the_value)


def take(engine_id: UUID, tenant_ids: Sequence[UUID]) -> Query[LeaseRow]:
    return Query(
        "lease.take",
        {"engine_id": engine_id, "tenant_ids": list(tenant_ids), "lease_seconds": LEASE_SECONDS},
        LeaseRow,
    )


def give_up(engine_id: UUID, tenant_ids: Sequence[UUID] | None) -> Query[UUID]:
    """Free these leases of the engine, or all of them (None)."""
    return Query(
        "lease.give_up",
        {
            "engine_id": engine_id,
            "tenant_ids": None if tenant_ids is None else list(tenant_ids),
        },
        the_value,
    )


def end_engine(engine_id: UUID) -> Query[UUID]:
    return Query("lease.end_engine", {"engine_id": engine_id}, the_value)


def is_held(tenant_id: UUID) -> Query[bool]:
    return Query("lease.is_held", {"tenant_id": tenant_id}, the_value)
