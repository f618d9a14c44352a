"""Statements of engine/sql/worker.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson

from engine.store.leases import LEASE_SECONDS
from engine.store.query import Query, the_value
from engine.store.tasks import Started
from engine.types import WorkerRegistration


class WorkerRow(NamedTuple):
    """A worker as a scheduler needs it; `slots` and `labels` are JSON object texts."""

    id: UUID
    actions: list[str]
    slots: str
    labels: str
    is_active: bool
    is_paused: bool
    last_heartbeat_at: datetime | None
    engine_id: UUID | None
    updated_at: datetime
    is_stalled: bool = False


def insert(
    worker_id: UUID, tenant_id: UUID, registration: WorkerRegistration, now: datetime
) -> Query[UUID]:
    return Query(
        "worker.insert",
        {
            "id": worker_id,
            "tenant_id": tenant_id,
            "name": registration.name,
            "actions": list(registration.actions),
            "slots": _json(registration.slots),
            "labels": _json(registration.labels),
            "sdk_version": registration.sdk_version,
            "language": registration.language,
            "language_version": registration.language_version,
            "os": registration.os,
            "runtime_extra": registration.runtime_extra,
            "now": now,
        },
        the_value,
    )


def _json(value: Mapping[str, str | int]) -> str:
    return orjson.dumps(dict(value)).decode()


def names(tenant_id: UUID, ids: Sequence[UUID]) -> Query[tuple[UUID, str]]:
    return Query("worker.names", {"tenant_id": tenant_id, "ids": list(ids)}, _pair)


def _pair(worker_id: UUID, name: str) -> tuple[UUID, str]:
    return worker_id, name


def open_session(tenant_id: UUID, worker_id: UUID, engine_id: UUID, now: datetime) -> Query[UUID]:
    return Query(
        "worker.open_session",
        {"tenant_id": tenant_id, "id": worker_id, "engine_id": engine_id, "now": now},
        the_value,
    )


def close_session(worker_id: UUID, opened_at: datetime, now: datetime) -> Query[UUID]:
    return Query(
        "worker.close_session", {"id": worker_id, "opened_at": opened_at, "now": now}, the_value
    )


def unsubscribe(tenant_id: UUID, worker_id: UUID, now: datetime) -> Query[UUID]:
    return Query(
        "worker.unsubscribe", {"tenant_id": tenant_id, "id": worker_id, "now": now}, the_value
    )


def beat(beats: Sequence[tuple[UUID, UUID]], now: datetime) -> Query[tuple[UUID, bool]]:
    """`beats` are (worker id, tenant id); answers (known worker id, was it recorded)."""
    return Query(
        "worker.beat",
        {"ids": [b[0] for b in beats], "tenant_ids": [b[1] for b in beats], "now": now},
        lambda worker_id, recorded: (worker_id, recorded),
    )


def upsert_labels(
    tenant_id: UUID, worker_id: UUID, labels: Mapping[str, str | int], now: datetime
) -> Query[UUID]:
    return Query(
        "worker.upsert_labels",
        {"tenant_id": tenant_id, "id": worker_id, "labels": _json(labels), "now": now},
        the_value,
    )


def set_paused(tenant_id: UUID, worker_id: UUID, is_paused: bool, now: datetime) -> Query[UUID]:
    return Query(
        "worker.set_paused",
        {"tenant_id": tenant_id, "id": worker_id, "is_paused": is_paused, "now": now},
        the_value,
    )


def stall(tenant_id: UUID, sinces: Mapping[UUID, datetime], now: datetime) -> Query[UUID]:
    """`sinces` tells when each worker was sent what it has not acknowledged."""
    ids = sorted(sinces)
    return Query(
        "worker.stall",
        {"tenant_id": tenant_id, "ids": ids, "sinces": [sinces[i] for i in ids], "now": now},
        the_value,
    )


def recover(
    tenant_id: UUID,
    ids: Sequence[UUID],
    now: datetime,
    *,
    heard: Sequence[UUID],
    task_ids: Sequence[UUID],
) -> Query[UUID]:
    return Query(
        "worker.recover",
        {
            "tenant_id": tenant_id,
            "ids": sorted(ids),
            "heard": list(heard),
            "task_ids": list(task_ids),
            "now": now,
        },
        the_value,
    )


def recover_late(starts: Sequence[Started], now: datetime) -> Query[UUID]:
    return Query(
        "worker.recover_late",
        {
            "task_ids": [start.id for start in starts],
            "tenant_ids": [start.tenant_id for start in starts],
            "retry_counts": [start.retry_count for start in starts],
            "now": now,
        },
        the_value,
    )


def of_tenant(tenant_id: UUID, since: datetime) -> Query[WorkerRow]:
    return Query(
        "worker.of_tenant",
        {"tenant_id": tenant_id, "since": since, "lease_seconds": LEASE_SECONDS},
        WorkerRow,
    )


def by_ids(tenant_id: UUID, ids: Sequence[UUID]) -> Query[WorkerRow]:
    return Query(
        "worker.by_ids",
        {"tenant_id": tenant_id, "ids": list(ids), "lease_seconds": LEASE_SECONDS},
        WorkerRow,
    )
