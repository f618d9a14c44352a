"""The WorkflowService: starting runs by workflow name."""

from __future__ import annotations

from uuid import UUID

from engine.errors import IdempotencyCollision, InvalidArgument
from engine.pb import workflows_pb2 as pb
from engine.pb.v1.shared import trigger_pb2
from engine.rpc.collisions import BulkCollision
from engine.rpc.convert import to_scheduled
from engine.rpc.definitions import parse_definition
from engine.rpc.first_definitions import translate_definition
from engine.rpc.fitting import ID_BYTES
from engine.rpc.rate_limits import parse_pause, parse_put
from engine.rpc.triggers import parse_schedule, parse_trigger
from engine.runtime.service import Engine
from engine.sandbox.pool import settled_async
from engine.types import TriggerRequest


class WorkflowServicer:
    def __init__(self, engine: Engine, max_message_bytes: int) -> None:
        self._engine, self._limit = engine, max_message_bytes

    async def PutWorkflow(
        self, request: pb.PutWorkflowRequest, tenant_id: UUID
    ) -> pb.WorkflowVersion:
        definition = await settled_async(
            tenant_id, lambda: parse_definition(translate_definition(request.opts))
        )
        await self._engine.put_workflow(tenant_id, definition)
        # The answer is a version with the schedules just made, which are none.
        trigger = TriggerRequest(definition.name)
        return to_scheduled(await self._engine.schedule_runs(tenant_id, trigger, []))

    async def TriggerWorkflow(
        self, request: trigger_pb2.TriggerWorkflowRequest, tenant_id: UUID
    ) -> pb.TriggerWorkflowResponse:
        (run_id,) = await self._engine.trigger_runs(tenant_id, [parse_trigger(request)])
        return pb.TriggerWorkflowResponse(workflow_run_id=str(run_id))

    async def ScheduleWorkflow(
        self, request: pb.ScheduleWorkflowRequest, tenant_id: UUID
    ) -> pb.WorkflowVersion:
        trigger, times = parse_schedule(request)
        return to_scheduled(await self._engine.schedule_runs(tenant_id, trigger, times))

    async def PutRateLimit(
        self, request: pb.PutRateLimitRequest, tenant_id: UUID
    ) -> pb.PutRateLimitResponse:
        await self._engine.put_rate_limit(tenant_id, *parse_put(request))
        return pb.PutRateLimitResponse()

    async def PauseRateLimit(
        self, request: pb.PauseRateLimitRequest, tenant_id: UUID
    ) -> pb.PauseRateLimitResponse:
        key, until = parse_pause(request)
        response = pb.PauseRateLimitResponse()
        response.paused_until.FromDatetime(
            await self._engine.pause_rate_limit(tenant_id, key, until)
        )
        return response

    async def BulkTriggerWorkflow(
        self, request: pb.BulkTriggerWorkflowRequest, tenant_id: UUID
    ) -> pb.BulkTriggerWorkflowResponse:
        most = self._limit // ID_BYTES - 100
        if len(request.workflows) > most:
            raise InvalidArgument(f"workflows: at most {most} runs can be told of in one answer")
        triggers = [
            parse_trigger(trigger, f"workflows[{index}].")
            for index, trigger in enumerate(request.workflows)
        ]
        try:
            run_ids = await self._engine.trigger_runs(tenant_id, triggers) if triggers else []
        except IdempotencyCollision as error:
            raise BulkCollision(error.collisions, error.started) from None
        return pb.BulkTriggerWorkflowResponse(workflow_run_ids=map(str, run_ids))
