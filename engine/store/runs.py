"""Statements of engine/sql/run.sql that move and read runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from engine.ids import id_at, ids_between
from engine.states import RunTrigger, Status
from engine.store.payloads import ReadMetadata
from engine.store.query import Query, no_row, the_value
from engine.types import RunFilter

_GIVES_WAY_MILLISECONDS = "500"
"""The database looks for deadlocks after a second; whoever looks first fails."""


class LockedRun(NamedTuple):
    id: UUID
    tenant_id: UUID
    version_id: UUID
    workflow_id: UUID
    status: int
    priority: int
    was_started: bool
    desired_labels: str | None
    trigger: int | None = None
    """None if it is not known."""

    @property
    def wakes_parent(self) -> bool:
        """Whether a durable task may wait for the end of this run."""
        return self.trigger in (None, RunTrigger.DURABLE_CHILD)


class KeyData(NamedTuple):
    run_id: UUID
    input: bytes | None
    additional_metadata: str | None
    priority: int
    run_keys: str | None
    outputs_size: int = 0
    """How many bytes the outputs of its tasks come to, where that matters."""


class ExternalId(NamedTuple):
    external_id: UUID
    run_id: UUID
    task_id: UUID | None
    is_dag: bool


class ParentTask(NamedTuple):
    task_id: UUID
    run_id: UUID
    retry_count: int
    event_id: UUID | None
    additional_metadata: str | None


class ChildClaim(NamedTuple):
    parent_task_id: UUID
    key: str
    run_id: UUID


class RunRow(NamedTuple):
    id: UUID
    status: int
    input: bytes | None
    additional_metadata: str | None


class ResultRow(NamedTuple):
    run_id: UUID
    finished_at: datetime | None
    run_status: int
    task_id: UUID
    readable_id: str
    status: int
    is_evicted: bool
    output: bytes | None
    error: bytes | None


def lock(ids: Sequence[UUID]) -> Query[LockedRun]:
    return Query("run.lock", {"ids": list(ids)}, LockedRun)


def give_way() -> Query[None]:
    """Have the transaction fail, to be tried again, before the database looks for deadlocks."""
    return Query("run.give_way", {"milliseconds": _GIVES_WAY_MILLISECONDS}, no_row)


def lock_queued_of_tasks(task_ids: Sequence[UUID]) -> Query[UUID]:
    return Query("run.lock_queued_of_tasks", {"task_ids": list(task_ids)}, the_value)


def set_status(changes: Sequence[tuple[UUID, Status]], now: datetime) -> Query[UUID]:
    return Query(
        "run.set_status",
        {
            "ids": [run_id for run_id, _ in changes],
            "statuses": [int(status) for _, status in changes],
            "now": now,
        },
        the_value,
    )


def find_external(tenant_id: UUID, ids: Sequence[UUID]) -> Query[ExternalId]:
    return Query("run.find_external", {"tenant_id": tenant_id, "ids": list(ids)}, ExternalId)


def matching(
    tenant_id: UUID, run_filter: RunFilter, limit: int, *, before: UUID | None = None
) -> Query[UUID]:
    """The newest runs a filter selects; those before a run of that id, if there is one."""
    first_id, last_id = ids_between(run_filter.since, run_filter.until)
    if before is not None:
        last_id = min(last_id, UUID(int=before.int - 1))
    return Query(
        "run.matching",
        {
            "tenant_id": tenant_id,
            "first_id": first_id,
            "last_id": last_id,
            "since": run_filter.since,
            "until": run_filter.until,
            "statuses": [int(status) for status in run_filter.statuses],
            "workflow_ids": list(run_filter.workflow_ids),
            "metadata_keys": [key for key, _ in run_filter.additional_metadata],
            "metadata_values": [value for _, value in run_filter.additional_metadata],
            "needs_every_pair": run_filter.needs_every_pair,
            "error_group_id": run_filter.error_group_id,
            "limit": limit,
        },
        the_value,
    )


def first_children(tenant_id: UUID, task_ids: Sequence[UUID], most: int) -> Query[UUID]:
    params = {"tenant_id": tenant_id, "task_ids": list(task_ids), "most": most}
    return Query("run.first_children", params, the_value)


def parents(tenant_id: UUID, task_ids: Sequence[UUID]) -> Query[ParentTask]:
    return Query("run.parents", {"tenant_id": tenant_id, "task_ids": list(task_ids)}, ParentTask)


def claim_children(claims: Sequence[ChildClaim]) -> Query[ChildClaim]:
    return Query(
        "run.claim_children",
        {
            "parent_task_ids": [c.parent_task_id for c in claims],
            "keys": [c.key for c in claims],
            "run_ids": [c.run_id for c in claims],
        },
        ChildClaim,
    )


def unclaim_children(children: Sequence[tuple[UUID, UUID]]) -> Query[UUID]:
    """`children` are (run id, parent task id)."""
    return Query(
        "run.unclaim_children",
        {"run_ids": [c[0] for c in children], "parent_task_ids": [c[1] for c in children]},
        the_value,
    )


def details(tenant_id: UUID, external_id: UUID) -> Query[RunRow]:
    return Query("run.details", {"tenant_id": tenant_id, "id": external_id}, RunRow)


def results(tenant_id: UUID, ids: Sequence[UUID], *, finished_only: bool) -> Query[ResultRow]:
    return Query(
        "run.results",
        {"tenant_id": tenant_id, "ids": list(ids), "finished_only": finished_only},
        ResultRow,
    )


def by_metadata(
    tenant_id: UUID, key: str, value: str, *, since: datetime, new_since: datetime
) -> Query[tuple[UUID, bool]]:
    return Query(
        "run.by_metadata",
        {
            "tenant_id": tenant_id,
            "key": key,
            "value": value,
            "since_id": id_at(since),
            "new_since_id": id_at(new_since),
        },
        lambda run_id, is_live: (run_id, is_live),
    )


def key_data(ids: Sequence[UUID]) -> Query[KeyData]:
    return Query("run.key_data", {"ids": list(ids)}, KeyData)


class KeyedRun(NamedTuple):
    run_id: UUID
    version_id: UUID
    idempotency_key: str


def ended_with_keys(ids: Sequence[UUID]) -> Query[KeyedRun]:
    return Query("run.ended_with_keys", {"ids": list(ids)}, KeyedRun)


def outputs_sizes(ids: Sequence[UUID]) -> Query[tuple[UUID, int]]:
    return Query("run.outputs_sizes", {"ids": list(ids)}, lambda run_id, size: (run_id, size))


def metadata(ids: Collection[UUID], *, room: int) -> Query[ReadMetadata]:
    return Query("run.metadata", {"ids": list(ids), "room": room}, ReadMetadata)


class StartedRun(NamedTuple):
    id: UUID
    event_id: UUID
    status: int
    filter_id: UUID | None


def started_by_events(event_ids: Collection[UUID], first_id: UUID) -> Query[StartedRun]:
    return Query(
        "run.started_by_events",
        {"event_ids": list(event_ids), "first_id": first_id},
        StartedRun,
    )
