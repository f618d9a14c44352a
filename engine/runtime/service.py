"""What the engine offers to its gRPC servicers: one method per thing a client can ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from engine.domain.definition import WorkflowDefinition
from engine.domain.durable.calls import Call, Completion, Node, WaitCondition
from engine.domain.spans import NewSpan
from engine.runtime.durable.lanes import Evict
from engine.runtime.durable.replies import Reply
from engine.states import RateLimitWindow
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


class WorkerSession(Protocol):
    """One open action stream of a worker. Iterate it for actions; always close it."""

    def __aiter__(self) -> AsyncIterator[Action]: ...

    def mark_sent(self, action: Action) -> None:
        """Say that the action iterated last was written to the stream."""

    async def close(self) -> None: ...


class RunSubscription(Protocol):
    """One SubscribeToWorkflowRuns stream: add run ids at any time, iterate the finished ones."""

    def add(self, run_id: UUID) -> None: ...

    def __aiter__(self) -> AsyncIterator[RunFinished]: ...

    def close(self) -> None: ...


class DurableSession(Protocol):
    """One DurableTask stream: hand it what the worker says, iterate the replies."""

    def __aiter__(self) -> AsyncIterator[Reply]: ...

    def register(self, worker_id: str) -> None: ...

    def refuse(self, task_id: str, invocation: int, message: str) -> None:
        """Answer a request that could not be read."""

    async def take(self, request: Call | Evict) -> None:
        """Returns when there is room for another request; replies come by the stream."""

    async def take_status(
        self, entries: Sequence[tuple[UUID, int, Node]], received: Mapping[tuple[UUID, int], int]
    ) -> None:
        """(task, invocation, node) the worker waits for; the highest order by (task, invocation)."""

    def end(self) -> None: ...

    def close(self) -> None: ...


class SignalSubscription(Protocol):
    """One ListenForDurableEvent stream: add waits at any time, iterate the satisfied ones."""

    def add(self, task_id: UUID, signal_key: str) -> None: ...

    def __aiter__(self) -> AsyncIterator[Completion]: ...

    def close(self) -> None: ...


class DurableEngine(Protocol):
    """What workers with durable tasks ask for. Streams that were opened are always to be closed."""

    def open_stream(self, tenant_id: UUID) -> DurableSession: ...

    def open_listener(self, tenant_id: UUID) -> SignalSubscription: ...

    async def restore(self, tenant_id: UUID, task_id: UUID) -> bool:
        """Queue an evicted task again; whether the task is known."""

    async def branch(self, tenant_id: UUID, task_id: UUID, node_id: int, branch_id: int) -> int:
        """Run a durable task again from a node of a branch on; return the new branch."""

    async def register_signal(
        self,
        tenant_id: UUID,
        task_id: UUID,
        signal_key: str,
        conditions: Sequence[WaitCondition],
    ) -> None:
        """Begin a wait of the older API. NotFound: unknown task."""


class Engine(Protocol):
    """All methods raise the errors of engine.errors. Ids of another tenant are as good as unknown."""

    @property
    def durable(self) -> DurableEngine: ...

    async def put_workflow(
        self, tenant_id: UUID, definition: WorkflowDefinition
    ) -> tuple[UUID, UUID]:
        """Store the definition unless it is the latest already; return (version id, workflow id)."""

    async def trigger_runs(self, tenant_id: UUID, requests: Sequence[TriggerRequest]) -> list[UUID]:
        """Start runs; return run ids in request order once they are committed.

        InvalidArgument "workflow names not found: a, b" if any name is unknown (nothing is created);
        InvalidArgument for an unknown parent task; IdempotencyCollision if keys of some are held by other runs
        (the others are started); ResourceExhausted when the queue in front is full.
        """

    async def schedule_runs(
        self, tenant_id: UUID, request: TriggerRequest, times: Sequence[datetime]
    ) -> ScheduledRuns:
        """Start a run at each of these times. NotFound: unknown workflow. InvalidArgument: unknown parent task."""

    async def put_rate_limit(
        self, tenant_id: UUID, key: str, limit: int, window: RateLimitWindow
    ) -> None:
        """Set a limit; set again, what is left of it only ever gets less."""

    async def pause_rate_limit(self, tenant_id: UUID, key: str, until: datetime) -> datetime:
        """Give out nothing of a key; return when the pause ends. NotFound: no such limit."""

    async def report(self, report: TaskReport) -> None:
        """Record a worker's report; stale and duplicate ones change nothing. InvalidArgument: unknown task."""

    async def report_batch(self, reports: Sequence[TaskReport]) -> None:
        """Record what became of items of a batch; unknown ones are skipped."""

    async def register_worker(self, tenant_id: UUID, registration: WorkerRegistration) -> UUID:
        """Always make a new worker; return its id."""

    async def open_session(
        self, tenant_id: UUID, worker_id: UUID, *, beats_by_itself: bool = False
    ) -> WorkerSession:
        """Open an action stream (`beats_by_itself`: the old Listen, whose stream counts as heartbeat)."""

    async def record_heartbeat(self, tenant_id: UUID, worker_id: UUID) -> None:
        """NotFound: unknown worker. FailedPrecondition: it listened once and is not active now."""

    async def unsubscribe_worker(self, tenant_id: UUID, worker_id: UUID) -> None: ...

    async def upsert_labels(
        self, tenant_id: UUID, worker_id: UUID, labels: dict[str, str | int]
    ) -> None: ...

    async def refresh_timeout(
        self, tenant_id: UUID, task_id: UUID, increment: str, increment_seconds: float
    ) -> datetime:
        """Add to the running attempt's deadline; return the new one. NotFound: not running."""

    async def release_slot(self, tenant_id: UUID, task_id: UUID) -> None: ...

    def subscribe_runs(self, tenant_id: UUID) -> RunSubscription: ...

    async def stream_run_events(self, tenant_id: UUID, run_id: UUID) -> AsyncIterator[StreamEvent]:
        """Events of one run until its hangup; empty if finished already. NotFound after ~10 s."""

    async def stream_metadata_events(
        self, tenant_id: UUID, key: str, value: str
    ) -> AsyncIterator[StreamEvent]:
        """Events of every run with that metadata pair."""

    async def put_stream_event(
        self, tenant_id: UUID, task_id: UUID, message: str, event_index: int | None
    ) -> None: ...

    async def append_log(self, line: LogInput) -> None: ...

    async def record_spans(self, spans: Sequence[NewSpan]) -> int:
        """Store spans; return how many were of unknown runs. ResourceExhausted: too many wait."""

    async def push_events(
        self, tenant_id: UUID, events: Sequence[EventInput]
    ) -> list[EventRecord]: ...

    async def replay_event(self, tenant_id: UUID, event_id: UUID) -> EventRecord:
        """Push an event once more; it is a new one. NotFound "event not found"."""

    async def cancel(self, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        """Cancel runs or tasks by id; return those of the ids of which something was cancelled."""

    async def cancel_matching(self, tenant_id: UUID, run_filter: RunFilter) -> list[UUID]:
        """Cancel all runs a filter selects. InvalidArgument, and nothing done, if they are too many."""

    async def replay(self, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
        """Replay final runs or tasks by id; return the ids of the tasks replayed."""

    async def replay_matching(self, tenant_id: UUID, run_filter: RunFilter) -> list[UUID]:
        """Replay all runs a filter selects. InvalidArgument, and nothing done, if they are too many."""

    async def get_run_details(self, tenant_id: UUID, external_id: UUID) -> RunDetails:
        """By run id or task id. NotFound "workflow run not found"."""
