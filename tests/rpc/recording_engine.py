"""An engine that keeps what it was asked and answers what the test told it to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from engine.domain.definition import WorkflowDefinition
from engine.domain.durable.calls import Call, Completion, Node, WaitCondition
from engine.domain.spans import NewSpan
from engine.ids import new_id
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.replies import Failed, Registered, Reply
from engine.states import RateLimitWindow, Status
from engine.types import (
    Action,
    EventInput,
    EventRecord,
    LogInput,
    RunDetails,
    RunFilter,
    RunFinished,
    ScheduledRuns,
    StreamEvent,
    TaskReport,
    TriggerRequest,
    WorkerRegistration,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Session:
    """Actions are put by the test; None ends the stream from the engine's side."""

    def __init__(self) -> None:
        self.actions: asyncio.Queue[Action | None] = asyncio.Queue()
        self.sent: list[Action] = []
        self.closed = asyncio.Event()

    def mark_sent(self, action: Action) -> None:
        self.sent.append(action)

    async def __aiter__(self) -> AsyncGenerator[Action]:
        while (action := await self.actions.get()) is not None:
            yield action

    async def close(self) -> None:
        self.closed.set()


class Subscription:
    def __init__(self) -> None:
        self.run_ids: asyncio.Queue[UUID] = asyncio.Queue()
        self.finished: asyncio.Queue[RunFinished | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    def add(self, run_id: UUID) -> None:
        self.run_ids.put_nowait(run_id)

    async def __aiter__(self) -> AsyncGenerator[RunFinished]:
        while (finished := await self.finished.get()) is not None:
            yield finished

    def close(self) -> None:
        self.closed.set()


class DurableStream:
    """Replies are put by the test; None ends the stream from the engine's side."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.requests: asyncio.Queue[Any] = asyncio.Queue()
        self.replies: asyncio.Queue[Reply | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncGenerator[Reply]:
        while (reply := await self.replies.get()) is not None:
            yield reply

    def register(self, worker_id: str) -> None:
        self.replies.put_nowait(Registered(worker_id))

    def refuse(self, task_id: str, invocation: int, message: str) -> None:
        self.replies.put_nowait(Failed(task_id, invocation, message))

    async def take(self, request: Call | Evict) -> None:
        self.requests.put_nowait(request)

    async def take_status(
        self, entries: Sequence[tuple[UUID, int, Node]], received: Mapping[tuple[UUID, int], int]
    ) -> None:
        self.requests.put_nowait((entries, received))

    def end(self) -> None:
        self.replies.put_nowait(None)

    def close(self) -> None:
        self.closed.set()


class SignalListener:
    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.keys: asyncio.Queue[tuple[UUID, str]] = asyncio.Queue()
        self.satisfied: asyncio.Queue[Completion | None] = asyncio.Queue()

    async def __aiter__(self) -> AsyncGenerator[Completion]:
        while (completion := await self.satisfied.get()) is not None:
            yield completion

    def add(self, task_id: UUID, signal_key: str) -> None:
        self.keys.put_nowait((task_id, signal_key))

    def close(self) -> None:
        self.closed.set()


class RecordingDurable:
    def __init__(self) -> None:
        self.calls: dict[str, list[Any]] = defaultdict(list)
        self.stream, self.listener = DurableStream(), SignalListener()
        self.is_known = True

    def open_stream(self, tenant_id: UUID) -> DurableStream:
        self.calls["open_stream"].append(tenant_id)
        return self.stream

    def open_listener(self, tenant_id: UUID) -> SignalListener:
        self.calls["open_listener"].append(tenant_id)
        return self.listener

    async def restore(self, tenant_id: UUID, task_id: UUID) -> bool:
        self.calls["restore"].append((tenant_id, task_id))
        return self.is_known

    async def branch(self, tenant_id: UUID, task_id: UUID, node_id: int, branch_id: int) -> int:
        self.calls["branch"].append((tenant_id, task_id, node_id, branch_id))
        return branch_id + 1

    async def register_signal(
        self,
        tenant_id: UUID,
        task_id: UUID,
        signal_key: str,
        conditions: Sequence[WaitCondition],
    ) -> None:
        self.calls["register_signal"].append((tenant_id, task_id, signal_key, list(conditions)))


class RecordingEngine:
    def __init__(self) -> None:
        self.durable = RecordingDurable()
        self.calls: dict[str, list[Any]] = defaultdict(list)
        self.failure: Exception | None = None
        self.session = Session()
        self.subscription = Subscription()
        self.stream_events: asyncio.Queue[StreamEvent | None] = asyncio.Queue()
        self.reported = asyncio.Event()
        self.details = RunDetails(new_id(), Status.QUEUED, b"{}", None, ())
        self.ids = [new_id(), new_id()]
        self.unknown_spans = 0

    def _record(self, method: str, call: Any) -> None:
        self.calls[method].append(call)
        if self.failure is not None:
            raise self.failure

    async def put_workflow(
        self, tenant_id: UUID, definition: WorkflowDefinition
    ) -> tuple[UUID, UUID]:
        self._record("put_workflow", (tenant_id, definition))
        return self.ids[0], self.ids[1]

    async def trigger_runs(self, tenant_id: UUID, requests: Sequence[TriggerRequest]) -> list[UUID]:
        self._record("trigger_runs", (tenant_id, list(requests)))
        return [new_id() for _ in requests]

    async def schedule_runs(
        self, tenant_id: UUID, request: TriggerRequest, times: Sequence[datetime]
    ) -> ScheduledRuns:
        self._record("schedule_runs", (tenant_id, request, list(times)))
        made = tuple((new_id(), at) for at in times)
        return ScheduledRuns(self.ids[0], self.ids[1], 3, made)

    async def put_rate_limit(
        self, tenant_id: UUID, key: str, limit: int, window: RateLimitWindow
    ) -> None:
        self._record("put_rate_limit", (tenant_id, key, limit, window))

    async def pause_rate_limit(self, tenant_id: UUID, key: str, until: datetime) -> datetime:
        self._record("pause_rate_limit", (tenant_id, key, until))
        return NOW

    async def report(self, report: TaskReport) -> None:
        self._record("report", report)
        self.reported.set()

    async def report_batch(self, reports: Sequence[TaskReport]) -> None:
        self._record("report_batch", list(reports))

    async def register_worker(self, tenant_id: UUID, registration: WorkerRegistration) -> UUID:
        self._record("register_worker", (tenant_id, registration))
        return self.ids[0]

    async def open_session(
        self, tenant_id: UUID, worker_id: UUID, *, beats_by_itself: bool = False
    ) -> Session:
        self._record("open_session", (tenant_id, worker_id, beats_by_itself))
        return self.session

    async def record_heartbeat(self, tenant_id: UUID, worker_id: UUID) -> None:
        self._record("record_heartbeat", (tenant_id, worker_id))

    async def unsubscribe_worker(self, tenant_id: UUID, worker_id: UUID) -> None:
        self._record("unsubscribe_worker", (tenant_id, worker_id))

    async def upsert_labels(
        self, tenant_id: UUID, worker_id: UUID, labels: dict[str, str | int]
    ) -> None:
        self._record("upsert_labels", (tenant_id, worker_id, labels))

    async def refresh_timeout(
        self, tenant_id: UUID, task_id: UUID, increment: str, increment_seconds: float
    ) -> datetime:
        self._record("refresh_timeout", (tenant_id, task_id, increment, increment_seconds))
        return NOW

    async def release_slot(self, tenant_id: UUID, task_id: UUID) -> None:
        self._record("release_slot", (tenant_id, task_id))

    def subscribe_runs(self, tenant_id: UUID) -> Subscription:
        self._record("subscribe_runs", tenant_id)
        return self.subscription

    async def stream_run_events(self, tenant_id: UUID, run_id: UUID) -> AsyncIterator[StreamEvent]:
        self._record("stream_run_events", (tenant_id, run_id))
        return self._events()

    async def stream_metadata_events(
        self, tenant_id: UUID, key: str, value: str
    ) -> AsyncIterator[StreamEvent]:
        self._record("stream_metadata_events", (tenant_id, key, value))
        return self._events()

    async def _events(self) -> AsyncGenerator[StreamEvent]:
        while (event := await self.stream_events.get()) is not None:
            yield event

    async def put_stream_event(
        self, tenant_id: UUID, task_id: UUID, message: str, event_index: int | None
    ) -> None:
        self._record("put_stream_event", (tenant_id, task_id, message, event_index))

    async def append_log(self, line: LogInput) -> None:
        self._record("append_log", line)

    async def record_spans(self, spans: Sequence[NewSpan]) -> int:
        self._record("record_spans", list(spans))
        return self.unknown_spans

    async def push_events(self, tenant_id: UUID, events: Sequence[EventInput]) -> list[EventRecord]:
        self._record("push_events", (tenant_id, list(events)))
        return [
            EventRecord(new_id(), e.key, e.payload, e.additional_metadata, e.scope, NOW)
            for e in events
        ]

    async def replay_event(self, tenant_id: UUID, event_id: UUID) -> EventRecord:
        self._record("replay_event", (tenant_id, event_id))
        return EventRecord(new_id(), "key", b"{}", None, None, NOW)

    async def cancel(self, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        self._record("cancel", (tenant_id, list(ids)))
        return list(ids)

    async def cancel_matching(self, tenant_id: UUID, run_filter: RunFilter) -> list[UUID]:
        self._record("cancel_matching", (tenant_id, run_filter))
        return self.ids

    async def replay(self, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        self._record("replay", (tenant_id, list(ids)))
        return list(ids)

    async def replay_matching(self, tenant_id: UUID, run_filter: RunFilter) -> list[UUID]:
        self._record("replay_matching", (tenant_id, run_filter))
        return self.ids

    async def get_run_details(self, tenant_id: UUID, external_id: UUID) -> RunDetails:
        self._record("get_run_details", (tenant_id, external_id))
        return self.details
