"""The EventsService: pushed events, and logs and live output of running tasks."""

from __future__ import annotations

from uuid import UUID

from engine.errors import InvalidArgument
from engine.pb import events_pb2 as pb
from engine.rpc.convert import to_event, to_events
from engine.rpc.parse import (
    parse_json_object,
    parse_key,
    parse_metadata,
    parse_priority,
    parse_text,
    parse_uuid,
)
from engine.runtime.service import Engine
from engine.states import LogLevel
from engine.types import EventInput, LogInput
from tenants.json_text import without_nul

MAX_BULK_EVENTS = 1_000
MAX_LOG_LENGTH = 10_000


class EventsServicer:
    def __init__(self, engine: Engine, max_message_bytes: int) -> None:
        self._engine, self._limit = engine, max_message_bytes

    async def Push(self, request: pb.PushEventRequest, tenant_id: UUID) -> pb.Event:
        (record,) = await self._engine.push_events(tenant_id, [_parse_event(request)])
        return to_event(tenant_id, record, self._limit)

    async def BulkPush(self, request: pb.BulkPushEventRequest, tenant_id: UUID) -> pb.Events:
        if not 1 <= len(request.events) <= MAX_BULK_EVENTS:
            raise InvalidArgument(f"events: between 1 and {MAX_BULK_EVENTS} events are allowed")
        events = [
            _parse_event(event, f"events[{index}].") for index, event in enumerate(request.events)
        ]
        return to_events(tenant_id, await self._engine.push_events(tenant_id, events), self._limit)

    async def ReplaySingleEvent(self, request: pb.ReplayEventRequest, tenant_id: UUID) -> pb.Event:
        event_id = parse_uuid(request.event_id, "event_id")
        record = await self._engine.replay_event(tenant_id, event_id)
        return to_event(tenant_id, record, self._limit)

    async def PutLog(self, request: pb.PutLogRequest, tenant_id: UUID) -> pb.PutLogResponse:
        await self._engine.append_log(_parse_log(request, tenant_id))
        return pb.PutLogResponse()

    async def PutStreamEvent(
        self, request: pb.PutStreamEventRequest, tenant_id: UUID
    ) -> pb.PutStreamEventResponse:
        await self._engine.put_stream_event(
            tenant_id,
            parse_uuid(request.task_run_external_id, "task_run_external_id"),
            # Subscribers get a string; a chunk cut inside a character must not be lost for that.
            request.message.decode(errors="replace"),
            request.event_index if request.HasField("event_index") else None,
        )
        return pb.PutStreamEventResponse()


def _parse_event(request: pb.PushEventRequest, prefix: str = "") -> EventInput:
    has_priority, has_scope = request.HasField("priority"), request.HasField("scope")
    return EventInput(
        key=parse_key(request.key, f"{prefix}key"),
        payload=parse_json_object(request.payload, f"{prefix}payload"),
        additional_metadata=parse_metadata(
            request.additional_metadata, f"{prefix}additional_metadata"
        ),
        priority=parse_priority(request.priority, f"{prefix}priority") if has_priority else None,
        scope=parse_text(request.scope, f"{prefix}scope") if has_scope else None,
    )


def _parse_log(request: pb.PutLogRequest, tenant_id: UUID) -> LogInput:
    level = request.level or LogLevel.INFO.name
    if level not in LogLevel.__members__:
        raise InvalidArgument(f'level: "{level[:50]}" is not one of DEBUG, INFO, WARN, ERROR')
    return LogInput(
        tenant_id=tenant_id,
        task_id=parse_uuid(request.task_run_external_id, "task_run_external_id"),
        message=_cut(without_nul(request.message)),
        level=LogLevel[level],
        metadata=parse_metadata(request.metadata, "metadata"),
        retry_count=request.task_retry_count if request.HasField("task_retry_count") else None,
    )


def _cut(message: str) -> str:
    """Clients do not send a refused line again, so a long one is cut and says so."""
    if len(message) <= MAX_LOG_LENGTH:
        return message
    mark = f" … [{len(message):,} characters, cut]"
    return message[: MAX_LOG_LENGTH - len(mark)] + mark
