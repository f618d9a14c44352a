"""How rows of webhooks go: with events and tenants, and when they are old. The engine does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engine.operations.app_tables import AppTables
from engine.operations.retention.kinds import Kind, by
from engine.store.query import Query, the_value
from engine.store.retention import Cutoffs, of_batch


def remove_origins_of(event_ids: Sequence[UUID]) -> Query[UUID]:
    return Query("webhook_table.remove_origins_of", {"event_ids": list(event_ids)}, the_value)


def count_webhooks(tenant_id: UUID, _now: datetime) -> Query[int]:
    return Query("webhook_table.count", {"tenant_id": tenant_id}, the_value)


def remove_of_tenants(tenant_ids: Sequence[UUID]) -> Query[UUID]:
    return Query("webhook_table.remove_of_tenants", {"tenant_ids": list(tenant_ids)}, the_value)


def remove_deliveries(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("webhook_table.remove_deliveries", of_batch(cutoffs, after, limit), the_value)


def remove_dispatches(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("webhook_table.remove_dispatches", of_batch(cutoffs, after, limit), the_value)


def remove_messages(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("webhook_table.remove_messages", of_batch(cutoffs, after, limit), the_value)


def remove_origins(cutoffs: Cutoffs, after: UUID, limit: int) -> Query[UUID]:
    return Query("webhook_table.remove_origins", of_batch(cutoffs, after, limit), the_value)


TABLES = AppTables(
    of_events=remove_origins_of,
    of_tenants=remove_of_tenants,
    kinds=(
        Kind(
            name="deliveries",
            title="Deliveries to webhooks, and messages to endpoints",
            sweeps=(by(remove_deliveries), by(remove_dispatches), by(remove_messages)),
        ),
        Kind(
            name="event origins",
            title="By which webhooks events came in",
            sweeps=(by(remove_origins),),
            is_chosen=False,
        ),
    ),
)
