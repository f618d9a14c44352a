"""Statements of engine/sql/workflow.sql: definitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import new_id
from engine.store.query import Query, no_row, the_value


class LatestRow(NamedTuple):
    workflow_id: UUID
    version_id: UUID | None
    order: int | None
    checksum: bytes | None


class ResolvedName(NamedTuple):
    name: str
    version_id: UUID | None


class VersionRow(NamedTuple):
    version_id: UUID
    workflow_id: UUID
    tenant_id: UUID
    definition: str
    step_ids: list[UUID]


class NewStep(NamedTuple):
    id: UUID
    ordinal: int
    kind: int
    readable_id: str
    action_id: str


def lock_name(tenant_id: UUID, name: str) -> Query[None]:
    return Query("workflow.lock_name", {"tenant_id": tenant_id, "name": name}, no_row)


def latest(tenant_id: UUID, name: str) -> Query[LatestRow]:
    return Query("workflow.latest", {"tenant_id": tenant_id, "name": name}, LatestRow)


def insert(
    workflow_id: UUID, tenant_id: UUID, *, name: str, description: str, now: datetime
) -> Query[UUID]:
    return Query(
        "workflow.insert",
        {
            "id": workflow_id,
            "tenant_id": tenant_id,
            "name": name,
            "description": description,
            "now": now,
        },
        the_value,
    )


def touch(workflow_id: UUID, description: str, now: datetime) -> Query[UUID]:
    return Query(
        "workflow.touch", {"id": workflow_id, "description": description, "now": now}, the_value
    )


def insert_version(
    version_id: UUID,
    workflow_id: UUID,
    *,
    order: int,
    checksum: bytes,
    definition: str,
    now: datetime,
) -> Query[UUID]:
    return Query(
        "workflow.insert_version",
        {
            "id": version_id,
            "workflow_id": workflow_id,
            "order": order,
            "checksum": checksum,
            "definition": definition,
            "now": now,
        },
        the_value,
    )


def insert_steps(version_id: UUID, steps: Sequence[NewStep]) -> Query[UUID]:
    return Query(
        "workflow.insert_steps",
        {
            "version_id": version_id,
            "ids": [s.id for s in steps],
            "ordinals": [s.ordinal for s in steps],
            "kinds": [s.kind for s in steps],
            "readable_ids": [s.readable_id for s in steps],
            "action_ids": [s.action_id for s in steps],
        },
        the_value,
    )


def replace_triggers(
    tenant_id: UUID, workflow_id: UUID, patterns: Sequence[tuple[str, str | None]]
) -> Query[UUID]:
    """`patterns` are (pattern, LIKE pattern if it holds a `*`)."""
    return Query(
        "workflow.replace_triggers",
        {
            "tenant_id": tenant_id,
            "workflow_id": workflow_id,
            "ids": [new_id() for _ in patterns],
            "patterns": [p[0] for p in patterns],
            "like_patterns": [p[1] for p in patterns],
        },
        the_value,
    )


def delete(tenant_id: UUID, workflow_id: UUID, now: datetime) -> Query[UUID]:
    return Query(
        "workflow.delete", {"tenant_id": tenant_id, "id": workflow_id, "now": now}, the_value
    )


def resolve(tenant_id: UUID, names: Sequence[str]) -> Query[ResolvedName]:
    return Query("workflow.resolve", {"tenant_id": tenant_id, "names": list(names)}, ResolvedName)


def versions(ids: Sequence[UUID]) -> Query[VersionRow]:
    return Query("workflow.versions", {"ids": list(ids)}, VersionRow)


def live(tenant_id: UUID, workflow_id: UUID) -> Query[UUID]:
    return Query("workflow.live", {"tenant_id": tenant_id, "id": workflow_id}, the_value)
