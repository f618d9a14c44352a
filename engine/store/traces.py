"""Statements of engine/sql/span.sql."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from engine.domain.spans import NewSpan
from engine.store.query import Query, no_row


class NamedRun(NamedTuple):
    """The run that an id names, its own or that of one of its tasks."""

    tenant_id: UUID
    id: UUID
    run_id: UUID


def runs(named: Collection[tuple[UUID, UUID]]) -> Query[NamedRun]:
    """Of (tenant, run or task)."""
    return Query(
        "span.runs",
        {"tenant_ids": [tenant for tenant, _ in named], "ids": [each for _, each in named]},
        NamedRun,
    )


def insert(spans: Sequence[tuple[NewSpan, UUID | None]]) -> Query[None]:
    """Each with its run."""
    return Query(
        "span.insert",
        {
            "ids": [s.id for s, _ in spans],
            "tenant_ids": [s.tenant_id for s, _ in spans],
            "run_ids": [run_id for _, run_id in spans],
            "retry_counts": [s.retry_count for s, _ in spans],
            "trace_ids": [s.trace_id for s, _ in spans],
            "span_ids": [s.span_id for s, _ in spans],
            "parent_span_ids": [s.parent_span_id for s, _ in spans],
            "names": [s.name for s, _ in spans],
            "kinds": [int(s.kind) for s, _ in spans],
            "statuses": [int(s.status) for s, _ in spans],
            "status_messages": [s.status_message for s, _ in spans],
            "service_names": [s.service_name for s, _ in spans],
            "scope_names": [s.scope_name for s, _ in spans],
            "scope_versions": [s.scope_version for s, _ in spans],
            "started_ats": [s.started_at for s, _ in spans],
            "durations_ns": [s.duration_ns for s, _ in spans],
            "resource_attributes": [s.resource_attributes for s, _ in spans],
            "attributes": [s.attributes for s, _ in spans],
            "events": [s.events for s, _ in spans],
        },
        no_row,
    )
