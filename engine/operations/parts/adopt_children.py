"""What children get from the task that spawns them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from engine.domain.trace_context import (
    TRACEPARENT,
    context_in,
    context_of_child,
    derived_context,
)
from engine.errors import InvalidArgument
from engine.store import runs
from engine.store.query import Operation, fetch
from engine.types import TriggerRequest
from tenants.json_text import MAX_METADATA_BYTES, members, object_of, with_texts


def adopt_children(
    tenant_id: UUID, requests: Sequence[TriggerRequest]
) -> Operation[list[TriggerRequest]]:
    """Return the requests with what children inherit from their parent tasks filled in.

    InvalidArgument if a parent task is unknown, or if the metadata grows too large. Metadata of the parent lies under the child's own; keys that
    start with `hatchet__` are not inherited. A child that brings no trace of its own is in its parent's.
    """
    parent_ids = sorted({r.parent_task_id for r in requests if r.parent_task_id})
    if not parent_ids:
        return list(requests)
    rows = yield from fetch(runs.parents(tenant_id, parent_ids))
    parent_of = {row.task_id: row for row in rows}
    adopted = []
    for request in requests:
        if not request.parent_task_id:
            adopted.append(request)
        elif parent := parent_of.get(request.parent_task_id):
            adopted.append(_inherit(request, parent))
        else:
            raise InvalidArgument(f"parent task {request.parent_task_id} not found")
    return adopted


def _inherit(request: TriggerRequest, parent: runs.ParentTask) -> TriggerRequest:
    inherited = members(parent.additional_metadata)
    metadata = {key: value for key, value in inherited.items() if not key.startswith("hatchet__")}
    own = members(request.additional_metadata)
    metadata |= own
    marks = {
        "hatchet__parent_workflow_run_id": str(parent.run_id),
        "hatchet__parent_step_run_id": str(parent.task_id),
    }
    traced = context_in(inherited) or derived_context(parent.run_id, parent.event_id)
    # Clients hand on what their task was given, which says where the task hangs and not where the child does.
    if context_in(own) in (None, traced):
        child = context_of_child(traced, parent.task_id, parent.retry_count)
        marks[TRACEPARENT] = child.traceparent
    merged = with_texts(object_of(metadata), marks)
    if len(merged) > MAX_METADATA_BYTES:
        raise InvalidArgument(
            f"additional_metadata is larger than {MAX_METADATA_BYTES} bytes with what it inherits"
        )
    return request._replace(
        additional_metadata=merged,
        parent_run_id=parent.run_id,
        parent_task_id=parent.task_id,
    )
