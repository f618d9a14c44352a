"""The bodies of messages: `type`, `timestamp` and `data`, small enough to be sent on every occasion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from engine.states import RunTrigger
from webhooks.outgoing.kinds import STATUS_AFTER, TEST
from webhooks.outgoing.store import OccurrenceRow

LONGEST_METADATA = 8 * 1024
_ENDS = ("run.completed", "run.failed", "run.cancelled")


def body_of(row: OccurrenceRow) -> bytes:
    """Return what is sent about an occurrence."""
    if row.data is not None:
        data: dict[str, Any] = {"tenantId": str(row.tenant_id)} | orjson.loads(row.data)
    elif row.kind.startswith("run."):
        data = _of_run(row)
    else:
        data = _of_worker(row)
    return _body(row.kind, row.at, data)


def test_body(tenant_id: UUID, endpoint_id: UUID, now: datetime) -> bytes:
    data = {"tenantId": str(tenant_id), "endpointId": str(endpoint_id), "message": "It works."}
    return _body(TEST.name, now, data)


def _body(kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "timestamp": _text(at), "data": data})


def _of_run(row: OccurrenceRow) -> dict[str, Any]:
    """What a run's row says, but for what has happened to it since."""
    has_started = row.started_at is not None and row.started_at <= row.at
    metadata = row.additional_metadata
    is_short = metadata is not None and len(metadata) <= LONGEST_METADATA
    error = None if row.error is None else bytes(row.error).decode(errors="replace")
    return _without_nones(
        {
            "tenantId": str(row.tenant_id),
            "workflowRunId": str(row.subject_id),
            "workflowId": None if row.workflow_id is None else str(row.workflow_id),
            "workflowName": row.workflow_name,
            "status": STATUS_AFTER[row.kind],
            "triggeredBy": None if row.trigger is None else RunTrigger(row.trigger).name,
            "parentRunId": None if row.parent_run_id is None else str(row.parent_run_id),
            "createdAt": _text(row.created_at),
            "startedAt": _text(row.started_at) if has_started else None,
            "finishedAt": _text(row.at) if row.kind in _ENDS else None,
            "errorMessage": error,
            "additionalMetadata": orjson.Fragment(metadata) if metadata and is_short else None,
        }
    )


def _of_worker(row: OccurrenceRow) -> dict[str, Any]:
    return _without_nones(
        {
            "tenantId": str(row.tenant_id),
            "workerId": str(row.subject_id),
            "workerName": row.worker_name,
            "actions": row.actions,
        }
    )


def _text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _without_nones(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}
