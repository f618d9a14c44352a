"""The Dispatcher service: workers, their actions and reports, and the streams that follow runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from uuid import UUID

from engine.domain.durations import parse_duration
from engine.domain.payload import reason_of
from engine.errors import HatchetError, InvalidArgument, NotFound, Unavailable
from engine.pb import dispatcher_pb2 as pb
from engine.rpc.convert import (
    to_assigned_action,
    to_run_finished,
    to_stream_events,
    to_timestamp,
)
from engine.rpc.fitting import too_large_to_start
from engine.rpc.parse import parse_key, parse_labels, parse_text, parse_uuid
from engine.rpc.registrations import parse_registration
from engine.rpc.reports import parse_batch_reports, parse_report
from engine.runtime.service import Engine, RunSubscription
from engine.types import Action, ReportKind, StreamEvent, TaskReport
from engine.version import ENGINE_VERSION

logger = logging.getLogger(__name__)


class DispatcherServicer:
    def __init__(self, engine: Engine, max_message_bytes: int, *, is_tracing: bool = False) -> None:
        self._engine, self._limit = engine, max_message_bytes
        self._is_tracing = is_tracing

    async def GetVersion(
        self, _request: pb.GetVersionRequest, _tenant_id: UUID
    ) -> pb.GetVersionResponse:
        return pb.GetVersionResponse(version=ENGINE_VERSION)

    async def Register(
        self, request: pb.WorkerRegisterRequest, tenant_id: UUID
    ) -> pb.WorkerRegisterResponse:
        registration = parse_registration(request)
        worker_id = await self._engine.register_worker(tenant_id, registration)
        return pb.WorkerRegisterResponse(
            tenant_id=str(tenant_id), worker_id=str(worker_id), worker_name=registration.name
        )

    async def Heartbeat(
        self, request: pb.HeartbeatRequest, tenant_id: UUID
    ) -> pb.HeartbeatResponse:
        worker_id = parse_uuid(request.worker_id, "worker_id")
        await self._engine.record_heartbeat(tenant_id, worker_id)
        return pb.HeartbeatResponse()

    async def Unsubscribe(
        self, request: pb.WorkerUnsubscribeRequest, tenant_id: UUID
    ) -> pb.WorkerUnsubscribeResponse:
        worker_id = parse_uuid(request.worker_id, "worker_id")
        await self._engine.unsubscribe_worker(tenant_id, worker_id)
        return pb.WorkerUnsubscribeResponse(tenant_id=str(tenant_id), worker_id=str(worker_id))

    async def UpsertWorkerLabels(
        self, request: pb.UpsertWorkerLabelsRequest, tenant_id: UUID
    ) -> pb.UpsertWorkerLabelsResponse:
        worker_id = parse_uuid(request.worker_id, "worker_id")
        await self._engine.upsert_labels(tenant_id, worker_id, parse_labels(request.labels))
        return pb.UpsertWorkerLabelsResponse(tenant_id=str(tenant_id), worker_id=str(worker_id))

    async def ListenV2(
        self, request: pb.WorkerListenRequest, tenant_id: UUID
    ) -> AsyncGenerator[pb.AssignedAction]:
        async with aclosing(self._actions(request, tenant_id, beats_by_itself=False)) as actions:
            async for action in actions:
                yield action

    async def Listen(
        self, request: pb.WorkerListenRequest, tenant_id: UUID
    ) -> AsyncGenerator[pb.AssignedAction]:
        async with aclosing(self._actions(request, tenant_id, beats_by_itself=True)) as actions:
            async for action in actions:
                yield action

    async def SendStepActionEvent(
        self, request: pb.StepActionEvent, tenant_id: UUID
    ) -> pb.ActionEventResponse:
        await self._engine.report(parse_report(request, tenant_id))
        return pb.ActionEventResponse(tenant_id=str(tenant_id), worker_id=request.worker_id)

    async def SendBatchActionEvent(
        self, request: pb.BatchActionEvent, tenant_id: UUID
    ) -> pb.ActionEventResponse:
        await self._engine.report_batch(parse_batch_reports(request, tenant_id))
        return pb.ActionEventResponse(tenant_id=str(tenant_id), worker_id=request.worker_id)

    async def PutOverridesData(
        self, _request: pb.OverridesData, _tenant_id: UUID
    ) -> pb.OverridesDataResponse:
        """First-generation clients call it while a task runs and need nothing but an answer."""
        return pb.OverridesDataResponse()

    async def RefreshTimeout(
        self, request: pb.RefreshTimeoutRequest, tenant_id: UUID
    ) -> pb.RefreshTimeoutResponse:
        task_id = parse_uuid(request.task_run_external_id, "task_run_external_id")
        increment = request.increment_timeout_by
        seconds = parse_duration(increment, "increment_timeout_by")
        deadline = await self._engine.refresh_timeout(tenant_id, task_id, increment, seconds)
        return pb.RefreshTimeoutResponse(timeout_at=to_timestamp(deadline))

    async def ReleaseSlot(
        self, request: pb.ReleaseSlotRequest, tenant_id: UUID
    ) -> pb.ReleaseSlotResponse:
        task_id = parse_uuid(request.task_run_external_id, "task_run_external_id")
        await self._engine.release_slot(tenant_id, task_id)
        return pb.ReleaseSlotResponse()

    async def RestoreEvictedTask(
        self, request: pb.RestoreEvictedTaskRequest, tenant_id: UUID
    ) -> pb.RestoreEvictedTaskResponse:
        """A task that is not evicted stays as it is, and that is no error."""
        task_id = parse_uuid(request.task_run_external_id, "task_run_external_id")
        if not await self._engine.durable.restore(tenant_id, task_id):
            raise NotFound("task not found")
        return pb.RestoreEvictedTaskResponse(requeued=True)

    async def SubscribeToWorkflowRuns(
        self, requests: AsyncIterator[pb.SubscribeToWorkflowRunsRequest], tenant_id: UUID
    ) -> AsyncGenerator[pb.WorkflowRunEvent]:
        subscription = self._engine.subscribe_runs(tenant_id)
        reader = asyncio.create_task(_add_runs(requests, subscription), name="run-subscription")
        try:
            async for finished in subscription:
                yield to_run_finished(finished, self._limit)
        finally:
            reader.cancel()
            subscription.close()
        raise Unavailable("the subscription was closed; connect again")

    async def SubscribeToWorkflowEvents(
        self, request: pb.SubscribeToWorkflowEventsRequest, tenant_id: UUID
    ) -> AsyncGenerator[pb.WorkflowEvent]:
        events = await self._open_events(request, tenant_id)
        try:
            async for event in events:
                for message in to_stream_events(event, self._limit):
                    yield message
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def _open_events(
        self, request: pb.SubscribeToWorkflowEventsRequest, tenant_id: UUID
    ) -> AsyncIterator[StreamEvent]:
        if request.workflow_run_id:
            run_id = parse_uuid(request.workflow_run_id, "workflow_run_id")
            return await self._engine.stream_run_events(tenant_id, run_id)
        if not request.additional_meta_key or not request.HasField("additional_meta_value"):
            raise InvalidArgument(
                "workflow_run_id, or additional_meta_key and additional_meta_value, is required"
            )
        key = parse_key(request.additional_meta_key, "additional_meta_key")
        value = parse_text(request.additional_meta_value, "additional_meta_value")
        return await self._engine.stream_metadata_events(tenant_id, key, value)

    async def _actions(
        self, request: pb.WorkerListenRequest, tenant_id: UUID, *, beats_by_itself: bool
    ) -> AsyncGenerator[pb.AssignedAction]:
        worker_id = parse_uuid(request.worker_id, "worker_id")
        session = await self._engine.open_session(
            tenant_id, worker_id, beats_by_itself=beats_by_itself
        )
        try:
            async for action in session:
                if (reason := reason_of(action.payload)) is not None:
                    await self._fail_unsendable(action, reason)
                    continue
                message = to_assigned_action(action, is_traced=self._is_tracing)
                size = message.ByteSize()
                if size <= self._limit:
                    yield message
                    session.mark_sent(action)
                else:
                    await self._fail_unsendable(action, too_large_to_start(size, self._limit))
        finally:
            await session.close()
        # A clean end would look like a failure to some clients and like good-bye to others.
        raise Unavailable("the action stream was closed; connect again")

    async def _fail_unsendable(self, action: Action, reason: str) -> None:
        """Sending it would break the worker's stream again and again, or give it what is no data."""
        reports = [
            TaskReport(
                tenant_id=action.tenant_id,
                task_id=item.task_id,
                kind=ReportKind.FAILED,
                retry_count=item.retry_count,
                payload=reason.encode(),
                should_not_retry=True,
            )
            for item in action.items
        ]
        try:
            await self._engine.report_batch(reports)
        except HatchetError:
            logger.exception("task %s cannot be sent and could not be failed", action.task_id)


async def _add_runs(
    requests: AsyncIterator[pb.SubscribeToWorkflowRunsRequest], subscription: RunSubscription
) -> None:
    """Malformed ids are skipped: an error would end the stream for every other run on it."""
    try:
        async for request in requests:
            try:
                run_id = parse_uuid(request.workflow_run_id, "workflow_run_id")
            except InvalidArgument:
                logger.info("skipped a subscription to a run id that is not a UUID")
                continue
            subscription.add(run_id)
    except Exception:
        logger.exception("the requests of a run subscription could not be read on")
