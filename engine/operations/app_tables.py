"""Tables of apps above the engine, which it clears with its own: they are named at the apps' start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from engine.operations.retention.kinds import Kind, add_kind
from engine.store.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class AppTables:
    """How an app's rows go, as far as they refer to a tenant by its id alone.

    `of_events` removes what goes with events. `of_tenants` removes all that deleted tenants have left,
    as the last thing before them. `kinds` are what is kept for a time.
    """

    of_events: Callable[[Sequence[UUID]], Query[Any]] | None = None
    of_tenants: Callable[[Sequence[UUID]], Query[Any]]
    kinds: Sequence[Kind] = ()


_declared: list[AppTables] = []


def add_app_tables(tables: AppTables) -> None:
    _declared.append(tables)
    for kind in tables.kinds:
        add_kind(kind)


def of_events(event_ids: Sequence[UUID]) -> list[Query[Any]]:
    """Return what removes the rows that go with these events."""
    return [tables.of_events(event_ids) for tables in _declared if tables.of_events]


def of_tenants(tenant_ids: Sequence[UUID]) -> list[Query[Any]]:
    """Return what removes the rows of these tenants."""
    return [tables.of_tenants(tenant_ids) for tables in _declared]
