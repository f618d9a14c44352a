"""The v1 AdminService: definitions, and acting on runs by id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine.domain.clock_skew import upper_bound
from engine.errors import IdempotencyCollision, InvalidArgument
from engine.pb.v1 import workflows_pb2 as pb
from engine.rpc.collisions import BulkCollision
from engine.rpc.convert import to_run_details
from engine.rpc.definitions import parse_definition
from engine.rpc.fitting import fit_ids
from engine.rpc.parse import parse_moment, parse_text, parse_uuid
from engine.rpc.triggers import parse_run_trigger
from engine.runtime.service import Engine
from engine.sandbox.pool import settled_async
from engine.states import Status
from engine.types import RunFilter


class AdminServicer:
    def __init__(self, engine: Engine, max_message_bytes: int) -> None:
        self._engine, self._limit = engine, max_message_bytes

    async def PutWorkflow(
        self, request: pb.CreateWorkflowVersionRequest, tenant_id: UUID
    ) -> pb.CreateWorkflowVersionResponse:
        definition = await settled_async(tenant_id, lambda: parse_definition(request))
        version_id, workflow_id = await self._engine.put_workflow(tenant_id, definition)
        return pb.CreateWorkflowVersionResponse(id=str(version_id), workflow_id=str(workflow_id))

    async def TriggerWorkflowRun(
        self, request: pb.TriggerWorkflowRunRequest, tenant_id: UUID
    ) -> pb.TriggerWorkflowRunResponse:
        (run_id,) = await self._engine.trigger_runs(tenant_id, [parse_run_trigger(request)])
        return pb.TriggerWorkflowRunResponse(external_id=str(run_id))

    async def CancelTasks(
        self, request: pb.CancelTasksRequest, tenant_id: UUID
    ) -> pb.CancelTasksResponse:
        chosen = _parse_choice(request)
        if isinstance(chosen, RunFilter):
            ids = await self._engine.cancel_matching(tenant_id, chosen)
        else:
            ids = await self._engine.cancel(tenant_id, chosen) if chosen else []
        return pb.CancelTasksResponse(cancelled_tasks=self._told(ids))

    async def ReplayTasks(
        self, request: pb.ReplayTasksRequest, tenant_id: UUID
    ) -> pb.ReplayTasksResponse:
        chosen = _parse_choice(request)
        try:
            if isinstance(chosen, RunFilter):
                ids = await self._engine.replay_matching(tenant_id, chosen)
            else:
                ids = await self._engine.replay(tenant_id, chosen) if chosen else []
        except IdempotencyCollision as error:
            if not isinstance(chosen, RunFilter) and len(chosen) == 1:
                raise
            raise BulkCollision(error.collisions, error.started) from None
        return pb.ReplayTasksResponse(replayed_tasks=self._told(ids))

    async def GetRunDetails(
        self, request: pb.GetRunDetailsRequest, tenant_id: UUID
    ) -> pb.GetRunDetailsResponse:
        external_id = _parse_external_id(request.external_id)
        details = await self._engine.get_run_details(tenant_id, external_id)
        return to_run_details(details, self._limit)

    async def BranchDurableTask(
        self, request: pb.BranchDurableTaskRequest, tenant_id: UUID
    ) -> pb.BranchDurableTaskResponse:
        task_id = parse_uuid(request.task_external_id, "task_external_id")
        branch_id = await self._engine.durable.branch(
            tenant_id, task_id, request.node_id, request.branch_id
        )
        return pb.BranchDurableTaskResponse(
            task_external_id=str(task_id), node_id=request.node_id, branch_id=branch_id
        )

    def _told(self, ids: Sequence[UUID]) -> Sequence[str]:
        return fit_ids([str(each) for each in ids], self._limit)


def _parse_choice(request: pb.CancelTasksRequest | pb.ReplayTasksRequest) -> list[UUID] | RunFilter:
    if not request.HasField("filter"):
        return [_parse_external_id(text) for text in request.external_ids]
    if request.external_ids:
        raise InvalidArgument("external_ids and filter exclude each other")
    return parse_run_filter(request.filter)


def parse_run_filter(chosen: pb.TasksFilter) -> RunFilter:
    if not chosen.HasField("since"):
        raise InvalidArgument("filter.since is required")
    until = parse_moment(chosen.until, "filter.until") if chosen.HasField("until") else None
    return RunFilter(
        since=parse_moment(chosen.since, "filter.since"),
        until=upper_bound(until, datetime.now(UTC)),
        statuses=_parse_statuses(chosen.statuses),
        workflow_ids=tuple(parse_uuid(text, "filter.workflow_ids") for text in chosen.workflow_ids),
        additional_metadata=tuple(_parse_pair(pair) for pair in chosen.additional_metadata),
    )


def _parse_statuses(names: Sequence[str]) -> tuple[Status, ...]:
    unknown = [name for name in names if name not in Status.__members__]
    if unknown:
        raise InvalidArgument(f'filter.statuses: "{unknown[0][:50]}" is not a status we know')
    return tuple(Status[name] for name in names)


def _parse_pair(pair: str) -> tuple[str, str]:
    key, colon, value = parse_text(pair, "filter.additional_metadata").partition(":")
    if not colon or not key:
        raise InvalidArgument(f'filter.additional_metadata: "{pair}" is not of the form key:value')
    return key, value


def _parse_external_id(text: str) -> UUID:
    try:
        return parse_uuid(text, "external_id")
    except InvalidArgument:
        raise InvalidArgument("invalid external id") from None
