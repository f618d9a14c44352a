"""Requests to start runs, checked."""

from __future__ import annotations

from datetime import datetime

from engine.errors import InvalidArgument
from engine.pb import workflows_pb2 as workflows_pb
from engine.pb.v1 import workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.desired_labels import parse_desired_labels
from engine.rpc.parse import (
    parse_json_object,
    parse_metadata,
    parse_moment,
    parse_name,
    parse_optional_uuid,
    parse_priority,
    parse_text,
)
from engine.types import TriggerRequest

MAX_SCHEDULES = 1_000


def parse_trigger(request: trigger_pb2.TriggerWorkflowRequest, prefix: str = "") -> TriggerRequest:
    """A child's place counts only beside its parent task: clients send an index in any case."""
    parent_task_id = parse_optional_uuid(
        request.parent_task_run_external_id, f"{prefix}parent_task_run_external_id"
    )
    is_child = parent_task_id is not None and request.HasField("child_index")
    has_key = is_child and bool(request.child_key)
    return TriggerRequest(
        workflow_name=parse_name(request.name, f"{prefix}name"),
        input=parse_json_object(request.input, f"{prefix}input"),
        additional_metadata=parse_metadata(
            request.additional_metadata, f"{prefix}additional_metadata"
        ),
        priority=(
            parse_priority(request.priority, f"{prefix}priority")
            if request.HasField("priority")
            else None
        ),
        parent_run_id=parse_optional_uuid(request.parent_id, f"{prefix}parent_id"),
        parent_task_id=parent_task_id,
        child_index=request.child_index if is_child else None,
        child_key=parse_text(request.child_key, f"{prefix}child_key") if has_key else None,
        desired_worker_id=parse_optional_uuid(
            request.desired_worker_id, f"{prefix}desired_worker_id"
        ),
        desired_labels=parse_desired_labels(
            request.desired_worker_labels, f"{prefix}desired_worker_labels"
        ),
    )


def parse_schedule(
    request: workflows_pb.ScheduleWorkflowRequest,
) -> tuple[TriggerRequest, list[datetime]]:
    """Return what to trigger and when. A parent needs its task and the child's place."""
    if not 1 <= len(request.schedules) <= MAX_SCHEDULES:
        raise InvalidArgument(f"schedules: between 1 and {MAX_SCHEDULES} times are allowed")
    task = parse_optional_uuid(request.parent_task_run_external_id, "parent_task_run_external_id")
    parent = parse_optional_uuid(request.parent_id, "parent_id")
    if (parent is not None or task is not None) and not (
        task is not None and request.HasField("child_index")
    ):
        raise InvalidArgument("a parent needs parent_task_run_external_id and child_index")
    trigger = TriggerRequest(
        workflow_name=parse_name(request.name, "name"),
        input=parse_json_object(request.input, "input"),
        additional_metadata=parse_metadata(request.additional_metadata),
        priority=parse_priority(request.priority) if request.HasField("priority") else None,
        parent_run_id=parent,
        parent_task_id=task,
        child_index=request.child_index if task else None,
        child_key=parse_text(request.child_key, "child_key") or None if task else None,
    )
    return trigger, [parse_moment(stamp, "schedules") for stamp in request.schedules]


def parse_run_trigger(request: workflows_pb2.TriggerWorkflowRunRequest) -> TriggerRequest:
    return TriggerRequest(
        workflow_name=parse_name(request.workflow_name, "workflow_name"),
        input=parse_json_object(request.input, "input"),
        additional_metadata=parse_metadata(request.additional_metadata),
        priority=parse_priority(request.priority) if request.HasField("priority") else None,
        desired_labels=parse_desired_labels(request.desired_worker_labels, "desired_worker_labels"),
    )
