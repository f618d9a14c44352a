"""What endpoints about single tasks, their logs and their numbers answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from engine.domain.explanation import Cause
from engine.states import DurableKind, LogLevel, SpanKind, SpanStatus, Status
from tenants.rest.answered import Json
from tenants.rest.paging import PaginationResponse


class V1TaskExplanation(TypedDict):
    """Why a task does not run now; `details` holds the numbers and ids of the sentence."""

    taskId: UUID
    reason: Cause
    message: str
    details: Json


class V1LogLine(TypedDict):
    createdAt: datetime
    message: str
    metadata: Json
    taskExternalId: NotRequired[UUID]
    taskDisplayName: NotRequired[str]
    retryCount: NotRequired[int]
    attempt: NotRequired[int]
    level: NotRequired[LogLevel]


class V1LogLineList(TypedDict):
    pagination: PaginationResponse
    rows: list[V1LogLine]


class V1RestoreTaskResponse(TypedDict):
    requeued: bool


class V1BranchDurableTaskResponse(TypedDict):
    taskExternalId: UUID
    nodeId: int
    branchId: int


WaitKind = Literal["SLEEP", "USER_EVENT", "CHILD_WORKFLOW"]
WaitDataItem = TypedDict(
    "WaitDataItem",
    {
        "kind": NotRequired[WaitKind],
        "sleepDurationMs": NotRequired[int],
        "eventKey": NotRequired[str],
        "workflowName": NotRequired[str],
        "or": NotRequired[list["WaitDataItem"]],
    },
)
"""One thing that is waited for, or several under `or`, one of which is enough."""


class V1DurableEventLogEntry(TypedDict):
    nodeId: int
    branchId: int
    kind: DurableKind
    isSatisfied: bool
    insertedAt: datetime
    taskExternalId: UUID
    taskDisplayName: str
    waitData: NotRequired[list[WaitDataItem]]
    waitDataOmittedBytes: NotRequired[int]
    satisfiedAt: NotRequired[datetime]
    userMessage: NotRequired[str]


class RunningDetailCount(TypedDict):
    evicted: int
    onWorker: int


class V1TaskRunMetric(TypedDict):
    status: Status
    count: int
    runningDetailCount: NotRequired[RunningDetailCount]


class V1TaskPointMetric(TypedDict):
    time: datetime
    SUCCEEDED: int
    FAILED: int


class V1TaskPointMetrics(TypedDict):
    results: list[V1TaskPointMetric]


class V1LogsPointMetric(TypedDict):
    time: datetime
    DEBUG: int
    INFO: int
    WARN: int
    ERROR: int


class V1LogsPointMetrics(TypedDict):
    results: list[V1LogsPointMetric]


class TenantStepRunQueueMetrics(TypedDict):
    queues: dict[str, int]


class ConcurrencyStat(TypedDict):
    expression: NotRequired[str]
    type: NotRequired[str]
    keys: NotRequired[dict[str, int]]


class TaskStatusStat(TypedDict):
    total: int
    queues: dict[str, int]
    concurrency: list[ConcurrencyStat]
    oldest: NotRequired[datetime]
    oldestExcludingRetries: NotRequired[datetime]


class TaskStat(TypedDict):
    queued: TaskStatusStat
    running: TaskStatusStat


class OtelSpanEvent(TypedDict):
    name: str
    time: datetime
    attributes: dict[str, str]


class OtelSpan(TypedDict):
    """`events` are those within the span: exceptions, and what the event log says of an attempt."""

    traceId: str
    spanId: str
    parentSpanId: NotRequired[str]
    spanName: str
    spanKind: SpanKind
    serviceName: str
    statusCode: SpanStatus
    statusMessage: NotRequired[str]
    durationNs: int
    createdAt: datetime
    resourceAttributes: dict[str, str]
    spanAttributes: dict[str, str]
    scopeName: NotRequired[str]
    scopeVersion: NotRequired[str]
    retryCount: int
    events: NotRequired[list[OtelSpanEvent]]


class OtelSpanList(TypedDict):
    """Nothing is in it where no spans are taken. `retryCounts` are those of the whole trace."""

    pagination: NotRequired[PaginationResponse]
    retryCounts: NotRequired[list[int]]
    rows: NotRequired[list[OtelSpan]]
