"""Statements of engine/sql/shared_strategy.sql: concurrency strategies that a whole tenant shares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.domain.definition import Concurrency
from engine.store.query import Query, the_value


class SharedRow(NamedTuple):
    name: str
    strategy: int
    max_runs: int
    is_computed: bool


def put(tenant_id: UUID, shared: Sequence[Concurrency], now: datetime) -> Query[str]:
    """Of one name there is at most one strategy in `shared`."""
    return Query(
        "shared_strategy.put",
        {
            "tenant_id": tenant_id,
            "names": [s.name for s in shared],
            "strategies": [int(s.strategy) for s in shared],
            "max_runs": [s.max_runs for s in shared],
            "computed": [bool(s.max_runs_expression) for s in shared],
            "now": now,
        },
        the_value,
    )


def of_tenant(tenant_id: UUID) -> Query[SharedRow]:
    return Query("shared_strategy.of_tenant", {"tenant_id": tenant_id}, SharedRow)
