"""Which tokens may call a method, and what a worker's token may ask of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.pb import workflows_pb2
from engine.pb.v1 import workflows_pb2 as v1_workflows_pb2
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.errors import PermissionDenied
from tenants.models import TokenScope
from tenants.token_claims import VerifiedToken
from tenants.token_scopes import Scopes, refusal, scopes_of_rpc


def _is_child(
    request: trigger_pb2.TriggerWorkflowRequest | workflows_pb2.ScheduleWorkflowRequest,
) -> bool:
    return bool(request.parent_task_run_external_id)


def _are_children(request: workflows_pb2.BulkTriggerWorkflowRequest) -> bool:
    return all(map(_is_child, request.workflows))


def _names_ids(request: v1_workflows_pb2.CancelTasksRequest) -> bool:
    return not request.HasField("filter")


_OF_A_TASK = "other than for a task of its own (parent_task_run_external_id)"
_LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "WorkflowService.TriggerWorkflow": (_is_child, _OF_A_TASK),
    "WorkflowService.BulkTriggerWorkflow": (_are_children, _OF_A_TASK),
    "WorkflowService.ScheduleWorkflow": (_is_child, _OF_A_TASK),
    "v1.AdminService.CancelTasks": (_names_ids, "with a filter"),
}
"""What a worker's token may ask of a method, and how what it may not is called."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Of one method; `is_for_workers` tells requests that a worker's token may make from others."""

    method: str
    scopes: Scopes
    is_for_workers: Callable[[Any], bool] | None
    otherwise: str

    def check(self, caller: VerifiedToken) -> None:
        if caller.scope not in self.scopes:
            raise PermissionDenied(refusal(caller.scope, self.method))

    def checked(self, request: Any, caller: VerifiedToken) -> Any:
        """Return the request if the caller may make it."""
        if self.is_for_workers is None or caller.scope is not TokenScope.WORKER_ONLY:
            return request
        if not self.is_for_workers(request):
            raise PermissionDenied(f"{refusal(caller.scope, self.method)} {self.otherwise}")
        return request


def permission_of(method: str) -> Permission:
    is_for_workers, otherwise = _LIMITS.get(method, (None, ""))
    return Permission(method, scopes_of_rpc(method), is_for_workers, otherwise)
