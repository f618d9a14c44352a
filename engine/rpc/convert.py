"""What the engine says, as the messages of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from engine.domain.trace_context import with_traceparent
from engine.ids import time_of
from engine.pb import dispatcher_pb2, events_pb2
from engine.pb import workflows_pb2 as triggers_pb
from engine.pb.v1 import workflows_pb2
from engine.rpc.fitting import fit_details, fit_event, fit_events, fit_results, fit_stream_event
from engine.states import Status
from engine.types import (
    Action,
    ActionKind,
    BatchStart,
    EventRecord,
    RunDetails,
    RunFinished,
    ScheduledRuns,
    StreamEvent,
    StreamEventKind,
    TaskDetails,
    TaskResult,
)

_ACTION_TYPES = {
    ActionKind.START: dispatcher_pb2.START_STEP_RUN,
    ActionKind.CANCEL: dispatcher_pb2.CANCEL_STEP_RUN,
    ActionKind.START_BATCH: dispatcher_pb2.START_BATCH,
}
_EVENT_TYPES = {
    StreamEventKind.STARTED: dispatcher_pb2.RESOURCE_EVENT_TYPE_STARTED,
    StreamEventKind.COMPLETED: dispatcher_pb2.RESOURCE_EVENT_TYPE_COMPLETED,
    StreamEventKind.FAILED: dispatcher_pb2.RESOURCE_EVENT_TYPE_FAILED,
    StreamEventKind.CANCELLED: dispatcher_pb2.RESOURCE_EVENT_TYPE_CANCELLED,
    StreamEventKind.STREAM: dispatcher_pb2.RESOURCE_EVENT_TYPE_STREAM,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = {
    Status.QUEUED: workflows_pb2.QUEUED,
    Status.RUNNING: workflows_pb2.RUNNING,
    Status.COMPLETED: workflows_pb2.COMPLETED,
    Status.FAILED: workflows_pb2.FAILED,
    Status.CANCELLED: workflows_pb2.CANCELLED,
}


def to_timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def to_assigned_action(action: Action, *, is_traced: bool = False) -> dispatcher_pb2.AssignedAction:
    """Optional fields stay absent when there is nothing to say: clients tell that from empty."""
    if action.batch is not None:
        return _to_batch_start(action, action.batch)
    metadata = action.additional_metadata
    if is_traced and action.kind is ActionKind.START:
        metadata = with_traceparent(metadata, action.run_id, action.event_id)
    task_id, step_id = str(action.task_id), str(action.step_id)
    message = dispatcher_pb2.AssignedAction(
        tenant_id=str(action.tenant_id),
        workflow_run_id=task_id if action.run_id is action.task_id else str(action.run_id),
        job_id=step_id,
        job_name=action.readable_id,
        job_run_id=task_id,
        task_id=step_id,
        task_run_external_id=task_id,
        action_id=action.action_id,
        action_type=_ACTION_TYPES[action.kind],
        action_payload=action.payload.decode(),
        task_name=action.readable_id,
        retry_count=action.retry_count,
        additional_metadata=_text(metadata),
        child_workflow_index=action.child_index,
        child_workflow_key=action.child_key,
        parent_workflow_run_id=_id(action.parent_run_id),
        priority=action.priority,
        workflow_id=str(action.workflow_id),
        workflow_version_id=str(action.version_id),
        triggering_event_external_id=_id(action.event_id),
        triggering_event_key=action.event_key,
        durable_task_invocation_count=action.durable_invocation,
    )
    if action.created_at is not None:
        # Three times as fast as FromDatetime, which each START would pay for.
        since = action.created_at - _EPOCH
        message.task_inserted_at.seconds = since.days * 86_400 + since.seconds
        message.task_inserted_at.nanos = since.microseconds * 1000
    return message


def _to_batch_start(action: Action, batch: BatchStart) -> dispatcher_pb2.AssignedAction:
    """It is about no single task; the payload tells which."""
    size = len(batch.items)
    return dispatcher_pb2.AssignedAction(
        tenant_id=str(action.tenant_id),
        action_id=action.action_id,
        action_type=_ACTION_TYPES[action.kind],
        action_payload=action.payload.decode(),
        batchId=str(action.task_id),
        batchSize=size,
        batchIndex=0,
        batchStartPayload=dispatcher_pb2.BatchStartPayload(
            triggerReason=batch.reason, triggerTime=to_timestamp(batch.at), expectedSize=size
        ),
        batchKey=batch.key or None,
    )


def to_run_finished(finished: RunFinished, limit: int) -> dispatcher_pb2.WorkflowRunEvent:
    message = dispatcher_pb2.WorkflowRunEvent(
        workflow_run_id=str(finished.run_id),
        event_type=dispatcher_pb2.WORKFLOW_RUN_EVENT_TYPE_FINISHED,
        event_timestamp=to_timestamp(finished.finished_at),
        results=[_to_result(result) for result in finished.results],
    )
    return fit_results(message, limit)


def _to_result(result: TaskResult) -> dispatcher_pb2.StepRunResult:
    """A cancelled task has an error that is present and empty."""
    task_id = str(result.task_id)
    return dispatcher_pb2.StepRunResult(
        task_run_external_id=task_id,
        task_name=result.readable_id,
        job_run_id=task_id,
        error=_error_of(result),
        output=_text(result.output) if result.status is Status.COMPLETED else None,
    )


def _error_of(result: TaskResult) -> str | None:
    if result.status is Status.CANCELLED:
        return ""
    return (result.error or "the task failed") if result.status is Status.FAILED else None


def to_stream_events(event: StreamEvent, limit: int) -> Iterator[dispatcher_pb2.WorkflowEvent]:
    """One message, nearly always. Each is to be sent before the next is asked for."""
    message = dispatcher_pb2.WorkflowEvent(
        workflow_run_id=str(event.run_id),
        resource_type=(
            dispatcher_pb2.RESOURCE_TYPE_WORKFLOW_RUN
            if event.is_run
            else dispatcher_pb2.RESOURCE_TYPE_STEP_RUN
        ),
        event_type=_EVENT_TYPES[event.kind],
        resource_id=str(event.resource_id),
        event_timestamp=to_timestamp(event.at),
        event_payload=event.payload,
        hangup=event.hangup,
        task_retries=event.task_retries,
        retry_count=event.retry_count,
        event_index=event.event_index,
    )
    return fit_stream_event(message, limit)


def to_run_details(details: RunDetails, limit: int) -> workflows_pb2.GetRunDetailsResponse:
    message = workflows_pb2.GetRunDetailsResponse(
        input=details.input,
        status=_STATUSES[details.status],
        task_runs={task.readable_id: _to_task_detail(task) for task in details.tasks},
        done=details.is_done,
        additional_metadata=details.additional_metadata or b"",
        is_evicted=any(task.is_evicted for task in details.tasks),
    )
    return fit_details(message, str(details.run_id), limit)


def _to_task_detail(task: TaskDetails) -> workflows_pb2.TaskRunDetail:
    """Unlike in run results, a cancelled task has no error at all here."""
    return workflows_pb2.TaskRunDetail(
        external_id=str(task.task_id),
        status=_STATUSES[task.status],
        error=task.error if task.status is Status.FAILED else None,
        output=task.output if task.status is Status.COMPLETED else None,
        readable_id=task.readable_id,
        is_evicted=task.is_evicted,
    )


def to_scheduled(made: ScheduledRuns) -> triggers_pb.WorkflowVersion:
    created_at = to_timestamp(time_of(made.version_id))
    return triggers_pb.WorkflowVersion(
        id=str(made.version_id),
        created_at=created_at,
        updated_at=created_at,
        version=str(made.version_id),
        order=made.version_order,
        workflow_id=str(made.workflow_id),
        scheduled_workflows=[
            triggers_pb.ScheduledWorkflow(id=str(identity), trigger_at=to_timestamp(at))
            for identity, at in made.schedules
        ],
    )


def to_event(tenant_id: UUID, record: EventRecord, limit: int) -> events_pb2.Event:
    return fit_event(_to_event(tenant_id, record), limit)


def to_events(tenant_id: UUID, records: Sequence[EventRecord], limit: int) -> events_pb2.Events:
    message = events_pb2.Events(events=[_to_event(tenant_id, record) for record in records])
    return fit_events(message, limit)


def _to_event(tenant_id: UUID, record: EventRecord) -> events_pb2.Event:
    return events_pb2.Event(
        tenant_id=str(tenant_id),
        event_id=str(record.event_id),
        key=record.key,
        payload=record.payload.decode(),
        event_timestamp=to_timestamp(record.seen_at),
        additional_metadata=_text(record.additional_metadata),
        scope=record.scope,
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)
