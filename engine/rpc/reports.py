"""Workers' reports: a StepActionEvent becomes a TaskReport."""

from __future__ import annotations

from uuid import UUID

from engine.errors import InvalidArgument
from engine.pb import dispatcher_pb2
from engine.rpc.parse import parse_output, parse_uuid
from engine.types import ReportKind, TaskReport

_UNPRINTABLE_ERROR = "The task failed, but its error text holds a null character and was not kept."
# A retry cannot be asked for more than a year ahead.
_LONGEST_RETRY_DELAY_MS = 366 * 86_400_000


def parse_report(event: dispatcher_pb2.StepActionEvent, tenant_id: UUID) -> TaskReport:
    """An output we cannot keep turns COMPLETED into FAILED: the worker will not report again."""
    task_id = parse_uuid(event.task_run_external_id, "task_run_external_id")
    try:
        kind = ReportKind(event.event_type)
    except ValueError:
        raise InvalidArgument(f"event_type {event.event_type} is unknown") from None
    payload = b""
    if kind is ReportKind.COMPLETED:
        try:
            payload = parse_output(event.event_payload)
        except ValueError as error:
            kind, payload = ReportKind.FAILED, str(error).encode()
    elif kind is ReportKind.FAILED:
        has_nul = "\0" in event.event_payload
        payload = (_UNPRINTABLE_ERROR if has_nul else event.event_payload).encode()
    return TaskReport(
        tenant_id=tenant_id,
        task_id=task_id,
        kind=kind,
        retry_count=event.retry_count if event.HasField("retry_count") else None,
        payload=payload,
        should_not_retry=event.should_not_retry,
        retry_after_ms=_retry_delay(event),
    )


def _retry_delay(event: dispatcher_pb2.StepActionEvent) -> int | None:
    if not event.HasField("retry_after_ms"):
        return None
    return min(max(event.retry_after_ms, 0), _LONGEST_RETRY_DELAY_MS)
