"""The statements that create runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from engine.ids import new_id
from engine.states import RunTrigger, Status
from engine.store.query import Query, no_row

Value = TypeVar("Value")


class NewRun(NamedTuple):
    """A run about to be inserted; `input` and `additional_metadata` are JSON object texts.

    `desired_worker_id` is asked for by the tasks it starts with, which only a sticky workflow has.
    """

    id: UUID
    tenant_id: UUID
    workflow_id: UUID
    version_id: UUID
    status: Status
    is_dag: bool
    priority: int
    trigger: RunTrigger
    input: bytes
    additional_metadata: str | None = None
    parent_run_id: UUID | None = None
    parent_task_id: UUID | None = None
    child_index: int | None = None
    child_key: str | None = None
    event_id: UUID | None = None
    event_key: str | None = None
    filter_id: UUID | None = None
    filter_payload: bytes | None = None
    desired_worker_id: UUID | None = None
    desired_labels: str | None = None
    idempotency_key: str | None = None


class StandaloneKind(NamedTuple):
    """What all standalone runs of one step share; timeouts in seconds."""

    tenant_id: UUID
    workflow_id: UUID
    version_id: UUID
    step_id: UUID
    action_id: str
    schedule_timeout: float
    execution_timeout: float


def _optional(values: list[Value | None]) -> list[Value | None] | None:
    """Return None for a column nobody uses: it costs nothing and reads as NULLs."""
    return values if any(value is not None for value in values) else None


def _origin(runs: Sequence[NewRun]) -> dict[str, Any]:
    return {
        "metadata": _optional([r.additional_metadata for r in runs]),
        "parent_run_ids": _optional([r.parent_run_id for r in runs]),
        "parent_task_ids": _optional([r.parent_task_id for r in runs]),
        "child_indexes": _optional([r.child_index for r in runs]),
        "child_keys": _optional([r.child_key for r in runs]),
        "event_ids": _optional([r.event_id for r in runs]),
        "event_keys": _optional([r.event_key for r in runs]),
        "filter_ids": _optional([r.filter_id for r in runs]),
        "desired_labels": _optional([r.desired_labels for r in runs]),
        "idempotency_keys": _optional([r.idempotency_key for r in runs]),
    }


def insert(runs: Sequence[NewRun], now: datetime) -> Query[None]:
    return Query(
        "run.insert",
        {
            "now": now,
            "ids": [r.id for r in runs],
            "tenant_ids": [r.tenant_id for r in runs],
            "workflow_ids": [r.workflow_id for r in runs],
            "version_ids": [r.version_id for r in runs],
            "statuses": [r.status for r in runs],
            "is_dags": [r.is_dag for r in runs],
            "priorities": [r.priority for r in runs],
            "triggers": [r.trigger for r in runs],
            "inputs": [r.input for r in runs],
            **_origin(runs),
        },
        no_row,
    )


class NewStandalone(NamedTuple):
    """A run with its only task; `worker_id` if that is assigned at once."""

    run: NewRun
    kind: StandaloneKind
    queued_event_id: UUID
    worker_id: UUID | None = None
    concurrency_keys: str | None = None


def insert_standalone(runs: Sequence[NewStandalone], now: datetime) -> Query[None]:
    numbers: dict[int, int] = {}
    kinds: list[StandaloneKind] = []
    for new in runs:
        if id(new.kind) not in numbers:
            kinds.append(new.kind)
            numbers[id(new.kind)] = len(kinds)
    listed = [new.run for new in runs]
    workers = [new.worker_id for new in runs]
    return Query(
        "run.insert_standalone",
        {
            "now": now,
            "kind_tenant_ids": [k.tenant_id for k in kinds],
            "kind_workflow_ids": [k.workflow_id for k in kinds],
            "kind_version_ids": [k.version_id for k in kinds],
            "kind_step_ids": [k.step_id for k in kinds],
            "kind_action_ids": [k.action_id for k in kinds],
            "kind_schedule_timeouts": [k.schedule_timeout for k in kinds],
            "kind_execution_timeouts": [k.execution_timeout for k in kinds],
            "ids": [r.id for r in listed],
            "kinds": [numbers[id(new.kind)] for new in runs],
            "worker_ids": _optional(workers),
            "priorities": [r.priority for r in listed],
            "triggers": [r.trigger for r in listed],
            "inputs": [r.input for r in listed],
            "queued_event_ids": [new.queued_event_id for new in runs],
            "concurrency_keys": _optional([new.concurrency_keys for new in runs]),
            "assigned_event_ids": _optional([worker and new_id() for worker in workers]),
            "desired_worker_ids": _optional([r.desired_worker_id for r in listed]),
            **_origin(listed),
        },
        no_row,
    )
