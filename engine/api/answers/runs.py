"""What endpoints about runs and their tasks answer, under the names that clients know."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from engine.states import Status, TaskEventKind
from tenants.rest.answered import Json
from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta


class V1TaskSummary(TypedDict):
    """A task, or a run in a list of runs; `children` are the tasks of a graph."""

    metadata: APIResourceMeta
    createdAt: datetime
    displayName: str
    input: Json
    numSpawnedChildren: int
    output: Json
    status: Status
    taskExternalId: UUID
    taskId: int
    taskInsertedAt: datetime
    tenantId: UUID
    type: Literal["DAG", "TASK"]
    workflowId: UUID
    workflowRunExternalId: UUID
    actionId: NotRequired[str]
    retryCount: NotRequired[int]
    attempt: NotRequired[int]
    additionalMetadata: NotRequired[Json]
    children: NotRequired[list[V1TaskSummary]]
    duration: NotRequired[int]
    isDurable: NotRequired[bool]
    isEvicted: NotRequired[bool]
    errorMessage: NotRequired[str]
    startedAt: NotRequired[datetime]
    finishedAt: NotRequired[datetime]
    stepId: NotRequired[UUID]
    workflowName: NotRequired[str]
    workflowVersionId: NotRequired[UUID]
    parentTaskExternalId: NotRequired[UUID]
    idempotencyKey: NotRequired[str]
    payloadsRestricted: NotRequired[bool]


class V1TaskSummaryList(TypedDict):
    pagination: PaginationResponse
    rows: list[V1TaskSummary]


class V1WorkflowRun(TypedDict):
    metadata: APIResourceMeta
    status: Status
    tenantId: UUID
    displayName: str
    workflowId: UUID
    input: Json
    output: Json
    startedAt: NotRequired[datetime]
    finishedAt: NotRequired[datetime]
    duration: NotRequired[int]
    additionalMetadata: NotRequired[Json]
    errorMessage: NotRequired[str]
    workflowVersionId: NotRequired[UUID]
    createdAt: NotRequired[datetime]
    parentTaskExternalId: NotRequired[UUID]
    payloadsRestricted: NotRequired[bool]


class V1TaskEvent(TypedDict):
    id: int
    taskId: UUID
    timestamp: datetime
    eventType: TaskEventKind
    message: str
    errorMessage: NotRequired[str]
    workerId: NotRequired[UUID]
    taskDisplayName: NotRequired[str]
    retryCount: NotRequired[int]
    attempt: NotRequired[int]


class V1TaskEventList(TypedDict):
    pagination: PaginationResponse
    rows: list[V1TaskEvent]


class WorkflowRunShapeItem(TypedDict):
    """A step of the run's workflow; the nil UUID as a task that does not exist yet."""

    taskExternalId: UUID
    stepId: UUID
    childrenStepIds: list[UUID]
    taskName: str


class V1WorkflowRunDetails(TypedDict):
    run: V1WorkflowRun
    tasks: list[V1TaskSummary]
    taskEvents: list[V1TaskEvent]
    shape: list[WorkflowRunShapeItem]
    workflowConfig: NotRequired[Json]


class V1TaskTiming(TypedDict):
    metadata: APIResourceMeta
    depth: int
    status: Status
    taskDisplayName: str
    taskExternalId: UUID
    taskId: int
    taskInsertedAt: datetime
    tenantId: UUID
    isEvicted: NotRequired[bool]
    parentTaskExternalId: NotRequired[UUID]
    queuedAt: NotRequired[datetime]
    startedAt: NotRequired[datetime]
    finishedAt: NotRequired[datetime]
    workflowRunId: NotRequired[UUID]
    retryCount: NotRequired[int]
    attempt: NotRequired[int]


class V1TaskTimingList(TypedDict):
    pagination: PaginationResponse
    rows: list[V1TaskTiming]


class V1WorkflowRunCount(TypedDict):
    count: int


class V1WorkflowRunDisplayName(TypedDict):
    metadata: APIResourceMeta
    displayName: str


class V1WorkflowRunDisplayNameList(TypedDict):
    pagination: PaginationResponse
    rows: list[V1WorkflowRunDisplayName]


class V1CancelledTasks(TypedDict):
    ids: list[UUID]


class IdempotencyCollision(TypedDict):
    existingRunExternalId: UUID
    collidingRunExternalId: UUID


class V1ReplayedTasks(TypedDict):
    """`collisions` are runs that were not replayed because others hold their idempotency keys."""

    ids: list[UUID]
    collisions: NotRequired[list[IdempotencyCollision]]


class V1DagChildren(TypedDict):
    dagId: UUID
    children: list[V1TaskSummary]
