"""What endpoints may be told of: a table, from which the API, the pages and the AsyncAPI document are made.

A new kind is a row here, and something that writes its occurrences, as the triggers on runs and workers do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
ID: dict[str, Any] = {"type": "string", "format": "uuid"}
MOMENT: dict[str, Any] = {"type": "string", "format": "date-time"}
OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}

_RUN: Mapping[str, Any] = {
    "tenantId": ID,
    "workflowRunId": ID,
    "workflowId": ID,
    "workflowName": TEXT,
    "status": {"type": "string", "enum": ["QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"]},
    "triggeredBy": TEXT,
    "parentRunId": ID,
    "createdAt": MOMENT,
    "startedAt": MOMENT,
    "finishedAt": MOMENT,
    "errorMessage": TEXT,
    "additionalMetadata": OBJECT,
}
_WORKER: Mapping[str, Any] = {
    "tenantId": ID,
    "workerId": ID,
    "workerName": TEXT,
    "actions": {"type": "array", "items": TEXT},
}
_ALERT: Mapping[str, Any] = {
    "tenantId": ID,
    "alertId": ID,
    "kind": TEXT,
    "ruleName": TEXT,
    "title": TEXT,
    "text": TEXT,
    "count": {"type": "integer"},
    "openedAt": MOMENT,
    "url": TEXT,
    "runbook": TEXT,
    "acknowledgedBy": TEXT,
}
_AUDIT: Mapping[str, Any] = {
    "tenantId": ID,
    "entryId": {"type": "integer"},
    "action": TEXT,
    "actorKind": {"type": "string", "enum": ["person", "token", "cli", "system"]},
    "actorId": TEXT,
    "actorName": TEXT,
    "resourceKind": TEXT,
    "resourceId": TEXT,
    "resourceName": TEXT,
    "before": OBJECT,
    "after": OBJECT,
}
_TEST: Mapping[str, Any] = {"tenantId": ID, "endpointId": ID, "message": TEXT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`required` and `properties` describe the `data` of its messages."""

    name: str
    summary: str
    properties: Mapping[str, Any]
    required: tuple[str, ...]


def _run(name: str, summary: str) -> Kind:
    required = ("tenantId", "workflowRunId", "status")
    return Kind(name=f"run.{name}", summary=summary, properties=_RUN, required=required)


def _worker(name: str, summary: str) -> Kind:
    required = ("tenantId", "workerId")
    return Kind(name=f"worker.{name}", summary=summary, properties=_WORKER, required=required)


def _alert(name: str, summary: str) -> Kind:
    required = ("tenantId", "alertId", "kind", "title")
    return Kind(name=f"alert.{name}", summary=summary, properties=_ALERT, required=required)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        _run("created", "A run was triggered."),
        _run("started", "A task of a run was given to a worker for the first time."),
        _run("completed", "A run ended, and all of it succeeded."),
        _run("failed", "A run ended, and not all of it succeeded."),
        _run("cancelled", "A run was cancelled."),
        _run("replayed", "A run that had ended begins anew."),
        _worker("registered", "A worker process announced itself."),
        _worker("connected", "A worker opened its stream and takes tasks."),
        _worker("lost", "A worker's stream ended, or no heartbeat came for 30 seconds."),
        _alert("opened", "Something is wrong that a rule is about, or there is more of it."),
        _alert("acknowledged", "Somebody cares about an alert."),
        _alert("resolved", "An alert has ended by itself."),
        Kind(
            name="audit.recorded",
            summary="Somebody changed something: an entry of the audit log.",
            properties=_AUDIT,
            required=("tenantId", "entryId", "action", "actorKind", "resourceKind"),
        ),
    )
}
"""What an endpoint may ask for."""

TEST = Kind(
    name="endpoint.test",
    summary="Somebody tries out the endpoint. It cannot be asked for.",
    properties=_TEST,
    required=("tenantId", "endpointId"),
)
STATUS_AFTER: Mapping[str, str] = {
    "run.created": "QUEUED",
    "run.started": "RUNNING",
    "run.completed": "COMPLETED",
    "run.failed": "FAILED",
    "run.cancelled": "CANCELLED",
    "run.replayed": "QUEUED",
}
"""The status that a run has by what is told of it; the row may have gone on since."""
