"""Requests to start runs, checked."""

from __future__ import annotations

from engine.pb.v1 import workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.parse import (
    parse_json_object,
    parse_metadata,
    parse_name,
    parse_optional_uuid,
    parse_priority,
    parse_text,
)
from engine.rpc.wishes import parse_wishes
from engine.types import TriggerRequest


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
        desired_labels=parse_wishes(
            request.desired_worker_labels, f"{prefix}desired_worker_labels"
        ),
    )


def parse_run_trigger(request: workflows_pb2.TriggerWorkflowRunRequest) -> TriggerRequest:
    return TriggerRequest(
        workflow_name=parse_name(request.workflow_name, "workflow_name"),
        input=parse_json_object(request.input, "input"),
        additional_metadata=parse_metadata(request.additional_metadata),
        priority=parse_priority(request.priority) if request.HasField("priority") else None,
        desired_labels=parse_wishes(request.desired_worker_labels, "desired_worker_labels"),
    )
