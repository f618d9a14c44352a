"""Values that cross layers: what clients ask for and what they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from engine.states import Comparator, LogLevel, Status

DEFAULT_WEIGHT = 100

LabelValue = str | int


class DesiredLabel(NamedTuple):
    """A label asked for: the worker's value of `key`, compared with `value`. A required one excludes."""

    key: str
    value: LabelValue
    comparator: Comparator = Comparator.EQUAL
    weight: int = DEFAULT_WEIGHT
    is_required: bool = False


DesiredLabels = tuple[DesiredLabel, ...]


class TriggerRequest(NamedTuple):
    """One run to start. `input` and `additional_metadata` are JSON object texts, already validated.

    `desired_worker_id` counts for sticky workflows; `desired_labels`, if any, replace every step's own.
    """

    workflow_name: str
    input: bytes = b"{}"
    additional_metadata: bytes | None = None
    priority: int | None = None
    parent_run_id: UUID | None = None
    parent_task_id: UUID | None = None
    child_index: int | None = None
    child_key: str | None = None
    desired_worker_id: UUID | None = None
    desired_labels: DesiredLabels = ()


@dataclass(frozen=True, slots=True)
class ScheduledRuns:
    """One-time schedules just made: (id, when) of each, for the workflow's latest version."""

    workflow_id: UUID
    version_id: UUID
    version_order: int
    schedules: tuple[tuple[UUID, datetime], ...]


class ReportKind(IntEnum):
    """What a worker says about a task; numbers equal StepActionEventType on the wire."""

    STARTED = 1
    COMPLETED = 2
    FAILED = 3
    ACKNOWLEDGED = 4
    CANCELLED = 5


class TaskReport(NamedTuple):
    """A worker's word about one attempt; `retry_count` None means the current attempt.

    `payload` is the output of COMPLETED (JSON text, nearly always an object; empty for none), the error
    text of FAILED.
    """

    tenant_id: UUID
    task_id: UUID
    kind: ReportKind
    retry_count: int | None = None
    payload: bytes = b""
    should_not_retry: bool = False
    retry_after_ms: int | None = None
    batch_id: UUID | None = None
    """The batch in which it says the task ran: then that tells which attempt is meant."""
    at: datetime | None = None
    """When it happened, by the worker's clock, which may be wrong."""


@dataclass(frozen=True, slots=True)
class WorkerRegistration:
    name: str
    actions: tuple[str, ...]
    slots: Mapping[str, int]
    labels: Mapping[str, str | int]
    sdk_version: str = ""
    language: str = ""
    language_version: str = ""
    os: str = ""
    runtime_extra: str = ""


class ActionKind(IntEnum):
    """Numbers equal ActionType on the wire."""

    START = 0
    CANCEL = 1
    START_BATCH = 3


class BatchItem(NamedTuple):
    """An attempt that runs in a batch."""

    task_id: UUID
    run_id: UUID
    retry_count: int


class BatchStart(NamedTuple):
    """A batch as its worker is told of it; items in order."""

    key: str
    reason: str
    at: datetime
    items: tuple[BatchItem, ...]


class Action(NamedTuple):
    """What a worker's stream carries: start this attempt, or cancel it. `payload` is empty for CANCEL.

    START_BATCH starts all items of `batch`; `task_id` and `run_id` are then the batch's id.
    """

    kind: ActionKind
    tenant_id: UUID
    run_id: UUID
    task_id: UUID
    step_id: UUID
    action_id: str
    readable_id: str
    retry_count: int
    priority: int
    workflow_id: UUID
    version_id: UUID
    payload: bytes = b""
    additional_metadata: bytes | None = None
    parent_run_id: UUID | None = None
    child_index: int | None = None
    child_key: str | None = None
    event_id: UUID | None = None
    event_key: str | None = None
    created_at: datetime | None = None
    durable_invocation: int | None = None
    """Which delivery of a durable task this is, or is about; None for other tasks."""
    batch: BatchStart | None = None

    @property
    def items(self) -> Sequence[BatchItem]:
        """The attempts it is about."""
        if self.batch is not None:
            return self.batch.items
        return (BatchItem(self.task_id, self.run_id, self.retry_count),)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A finished task as run subscribers see it: error `""` means cancelled."""

    task_id: UUID
    readable_id: str
    status: Status
    output: bytes | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunFinished:
    run_id: UUID
    finished_at: datetime
    results: tuple[TaskResult, ...]


@dataclass(frozen=True, slots=True)
class TaskDetails:
    task_id: UUID
    readable_id: str
    status: Status
    output: bytes | None = None
    error: str | None = None
    is_evicted: bool = False


@dataclass(frozen=True, slots=True)
class RunDetails:
    run_id: UUID
    status: Status
    input: bytes
    additional_metadata: bytes | None
    tasks: tuple[TaskDetails, ...]

    @property
    def is_done(self) -> bool:
        return self.status.is_final


class StreamEventKind(IntEnum):
    """Numbers equal ResourceEventType on the wire."""

    STARTED = 1
    COMPLETED = 2
    FAILED = 3
    CANCELLED = 4
    STREAM = 6


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One message of SubscribeToWorkflowEvents; `is_run` tells a run's event from a task's."""

    run_id: UUID
    resource_id: UUID
    is_run: bool
    kind: StreamEventKind
    at: datetime
    payload: str = ""
    hangup: bool = False
    task_retries: int | None = None
    retry_count: int | None = None
    event_index: int | None = None


@dataclass(frozen=True, slots=True)
class LogInput:
    tenant_id: UUID
    task_id: UUID
    message: str
    level: LogLevel = LogLevel.INFO
    metadata: bytes | None = None
    retry_count: int | None = None


@dataclass(frozen=True, slots=True)
class EventInput:
    """A pushed event. `payload` and `additional_metadata` are JSON object texts, already validated."""

    key: str
    payload: bytes = b"{}"
    additional_metadata: bytes | None = None
    priority: int | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class EventRecord:
    event_id: UUID
    key: str
    payload: bytes
    additional_metadata: bytes | None
    scope: str | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs are meant, by whichever entrance: those that meet all that is given.

    `since` and `until` bound the time of creation, both included. Metadata is compared as text; one of
    the pairs is enough unless `needs_every_pair`. With `error_group_id`, an attempt failed in that way.
    """

    since: datetime | None
    until: datetime | None = None
    statuses: tuple[Status, ...] = ()
    workflow_ids: tuple[UUID, ...] = ()
    additional_metadata: tuple[tuple[str, str], ...] = ()
    needs_every_pair: bool = False
    error_group_id: UUID | None = None
