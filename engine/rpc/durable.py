"""The V1Dispatcher service: the streams of workers with durable tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from uuid import UUID

from engine.domain.durable.calls import Call
from engine.errors import InvalidArgument, Unavailable
from engine.pb.v1 import dispatcher_pb2 as pb
from engine.rpc.durable_calls import (
    CallRequest,
    parse_call,
    parse_conditions,
    parse_status,
    to_response,
)
from engine.rpc.parse import parse_text, parse_uuid
from engine.runtime.durable.lanes import Evict
from engine.runtime.service import DurableSession, Engine, SignalSubscription

logger = logging.getLogger(__name__)

_LONGEST_REASON = 10_000


class DurableServicer:
    def __init__(self, engine: Engine, max_message_bytes: int) -> None:
        self._durable, self._limit = engine.durable, max_message_bytes

    async def DurableTask(
        self, requests: AsyncIterator[pb.DurableTaskRequest], tenant_id: UUID
    ) -> AsyncGenerator[pb.DurableTaskResponse]:
        stream = self._durable.open_stream(tenant_id)
        reader = asyncio.create_task(_read(requests, tenant_id, stream), name="durable-requests")
        try:
            async for reply in stream:
                yield to_response(reply, self._limit)
        finally:
            is_clients_end = reader.done() and not reader.cancelled()
            reader.cancel()
            stream.close()
        if not is_clients_end:
            raise Unavailable("the durable stream was closed; connect again")

    async def RegisterDurableEvent(
        self, request: pb.RegisterDurableEventRequest, tenant_id: UUID
    ) -> pb.RegisterDurableEventResponse:
        task_id = parse_uuid(request.task_id, "task_id")
        signal_key = parse_text(request.signal_key, "signal_key")
        conditions = parse_conditions(request.conditions)
        await self._durable.register_signal(tenant_id, task_id, signal_key, conditions)
        return pb.RegisterDurableEventResponse()

    async def ListenForDurableEvent(
        self, requests: AsyncIterator[pb.ListenForDurableEventRequest], tenant_id: UUID
    ) -> AsyncGenerator[pb.DurableEvent]:
        listener = self._durable.open_listener(tenant_id)
        reader = asyncio.create_task(_add_signals(requests, listener), name="durable-listener")
        try:
            async for satisfied in listener:
                yield pb.DurableEvent(
                    task_id=str(satisfied.task_id),
                    signal_key=satisfied.signal or "",
                    data=satisfied.payload,
                )
        finally:
            reader.cancel()
            listener.close()
        raise Unavailable("the durable listener was closed; connect again")


async def _read(
    requests: AsyncIterator[pb.DurableTaskRequest], tenant_id: UUID, stream: DurableSession
) -> None:
    """Hand every request on; the stream ends when the worker has nothing more to say."""
    try:
        async for request in requests:
            try:
                await _take(request, tenant_id, stream)
            except InvalidArgument as error:
                task_id, count = _address(request)
                stream.refuse(task_id, count, str(error))
    except Exception:
        logger.exception("the requests of a durable stream could not be read on")
    finally:
        stream.end()


async def _take(request: pb.DurableTaskRequest, tenant_id: UUID, stream: DurableSession) -> None:
    kind = request.WhichOneof("message")
    if kind == "register_worker":
        stream.register(request.register_worker.worker_id)
    elif kind == "worker_status":
        await stream.take_status(*parse_status(request.worker_status))
    elif kind == "evict_invocation":
        evict = request.evict_invocation
        task_id = parse_uuid(evict.durable_task_external_id, "durable_task_external_id")
        reason = parse_text(evict.reason, "reason", _LONGEST_REASON)
        await stream.take(Evict(task_id, evict.invocation_count, reason))
    elif kind is not None:
        call: CallRequest = getattr(request, kind)
        text, count = _address(request)
        task_id = parse_uuid(text, "durable_task_external_id")
        await stream.take(Call(tenant_id, task_id, count, parse_call(call, task_id)))


def _address(request: pb.DurableTaskRequest) -> tuple[str, int]:
    """Return task and invocation as the request gives them: an error names both the same way."""
    message = getattr(request, request.WhichOneof("message") or "")
    message = message.ref if isinstance(message, pb.DurableTaskCompleteMemoRequest) else message
    return message.durable_task_external_id, message.invocation_count


async def _add_signals(
    requests: AsyncIterator[pb.ListenForDurableEventRequest], listener: SignalSubscription
) -> None:
    """Malformed pairs are skipped: an error would end the stream for every other wait on it."""
    try:
        async for request in requests:
            try:
                task_id = parse_uuid(request.task_id, "task_id")
                signal_key = parse_text(request.signal_key, "signal_key")
            except InvalidArgument as error:
                logger.info("skipped a durable event: %s", error)
                continue
            listener.add(task_id, signal_key)
    except Exception:
        logger.exception("the requests of a durable listener could not be read on")
