"""Workers' reports: a StepActionEvent, or an item of a BatchActionEvent, becomes a TaskReport."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.errors import InvalidArgument
from engine.pb import dispatcher_pb2
from engine.rpc.parse import parse_clock, parse_optional_uuid, parse_output, parse_uuid
from engine.types import ReportKind, TaskReport
from tenants.json_text import without_nul

# A retry cannot be asked for more than a year ahead.
_LONGEST_RETRY_DELAY_MS = 366 * 86_400_000
_KINDS = {int(kind): kind for kind in ReportKind}


def parse_report(event: dispatcher_pb2.StepActionEvent, tenant_id: UUID) -> TaskReport:
    """An output we cannot keep turns COMPLETED into FAILED: the worker will not report again."""
    kind = _parse_kind(event.event_type)
    at = parse_clock(event.event_timestamp)
    return _parse_report(event, kind, tenant_id, "task_run_external_id", at)


def parse_batch_reports(
    event: dispatcher_pb2.BatchActionEvent, tenant_id: UUID
) -> list[TaskReport]:
    """The batch tells which attempts are meant; without it the items do, or their current ones are."""
    kind = _parse_kind(event.event_type)
    if kind is ReportKind.ACKNOWLEDGED:
        raise InvalidArgument("event_type ACKNOWLEDGED says nothing about a batch")
    batch_id = parse_optional_uuid(event.batch_id, "batch_id")
    at = parse_clock(event.event_timestamp)
    return [
        _parse_report(item, kind, tenant_id, f"items[{index}].task_run_external_id", at, batch_id)
        for index, item in enumerate(event.items)
    ]


def _parse_kind(number: int) -> ReportKind:
    kind = _KINDS.get(number)
    if kind is None:
        raise InvalidArgument(f"event_type {number} is unknown")
    return kind


def _parse_report(
    event: dispatcher_pb2.StepActionEvent | dispatcher_pb2.BatchActionEventItem,
    kind: ReportKind,
    tenant_id: UUID,
    where: str,
    at: datetime | None,
    batch_id: UUID | None = None,
) -> TaskReport:
    task_id = parse_uuid(event.task_run_external_id, where)
    payload = b""
    if kind is ReportKind.COMPLETED:
        try:
            payload = parse_output(event.event_payload)
        except ValueError as error:
            kind, payload = ReportKind.FAILED, str(error).encode()
    elif kind is ReportKind.FAILED:
        payload = without_nul(event.event_payload).encode()
    has_attempt = batch_id is None and event.HasField("retry_count")
    return TaskReport(
        tenant_id=tenant_id,
        task_id=task_id,
        kind=kind,
        retry_count=event.retry_count if has_attempt else None,
        payload=payload,
        should_not_retry=event.should_not_retry,
        retry_after_ms=_retry_delay(event),
        batch_id=batch_id,
        at=at,
    )


def _retry_delay(
    event: dispatcher_pb2.StepActionEvent | dispatcher_pb2.BatchActionEventItem,
) -> int | None:
    if not event.HasField("retry_after_ms"):
        return None
    return min(max(event.retry_after_ms, 0), _LONGEST_RETRY_DELAY_MS)
