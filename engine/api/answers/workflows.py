"""What endpoints about workflows, their crons and their scheduled runs answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from engine.states import CronMissCause, Sticky
from tenants.rest.answered import Json
from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta

QueueBehavior = Literal["QUEUE", "DROP"]
Method = Literal["DEFAULT", "API"]


class WorkflowVersionMeta(TypedDict):
    metadata: APIResourceMeta
    version: str
    order: int
    workflowId: UUID


class Workflow(TypedDict):
    metadata: APIResourceMeta
    name: str
    tenantId: UUID
    description: NotRequired[str | None]
    isPaused: NotRequired[bool]
    pausedWorkflowCronRunQueueBehavior: NotRequired[QueueBehavior]
    pausedWorkflowScheduledRunQueueBehavior: NotRequired[QueueBehavior]
    versions: NotRequired[list[WorkflowVersionMeta]]


class WorkflowList(TypedDict):
    pagination: PaginationResponse
    rows: list[Workflow]


class WorkflowTriggerEventRef(TypedDict):
    parent_id: str
    event_key: str


class WorkflowTriggerCronRef(TypedDict):
    parent_id: str
    cron: str


class WorkflowTriggers(TypedDict):
    metadata: APIResourceMeta
    workflow_version_id: str
    tenant_id: str
    events: list[WorkflowTriggerEventRef]
    crons: list[WorkflowTriggerCronRef]


class Step(TypedDict):
    metadata: APIResourceMeta
    readableId: str
    tenantId: str
    jobId: str
    action: str
    timeout: NotRequired[str]
    isDurable: NotRequired[bool]
    slotRequests: NotRequired[dict[str, int]]
    parents: list[str]
    children: list[str]


class Job(TypedDict):
    metadata: APIResourceMeta
    tenantId: str
    versionId: str
    name: str
    steps: list[Step]


class ConcurrencySetting(TypedDict):
    """`limitStrategy` is the nearest one that clients know, `strategy` what it is."""

    maxRuns: int
    limitStrategy: Literal["CANCEL_IN_PROGRESS", "DROP_NEWEST", "QUEUE_NEWEST", "GROUP_ROUND_ROBIN"]
    expression: str
    scope: Literal["WORKFLOW", "TASK"]
    stepReadableId: NotRequired[str]
    strategy: NotRequired[str]
    maxRunsExpression: NotRequired[str]
    tenantScopedName: NotRequired[str]


class WorkflowVersion(WorkflowVersionMeta):
    workflow: NotRequired[Workflow]
    sticky: NotRequired[Sticky]
    defaultPriority: NotRequired[int]
    scheduleTimeout: NotRequired[str]
    triggers: NotRequired[WorkflowTriggers]
    jobs: NotRequired[list[Job]]
    workflowConfig: NotRequired[Json]
    v1Concurrency: NotRequired[list[ConcurrencySetting]]
    inputJsonSchema: NotRequired[Json]


class CronMissedFires(TypedDict):
    cause: CronMissCause
    detail: str
    count: int
    firstAt: datetime
    lastAt: datetime


class CronWorkflows(TypedDict):
    metadata: APIResourceMeta
    tenantId: UUID
    workflowVersionId: UUID
    workflowId: UUID
    workflowName: str
    cron: str
    enabled: bool
    method: Method
    name: NotRequired[str]
    input: NotRequired[Json]
    additionalMetadata: NotRequired[Json]
    priority: NotRequired[int]
    missed: NotRequired[str]
    missedFires: NotRequired[list[CronMissedFires]]


class CronWorkflowsList(TypedDict):
    pagination: PaginationResponse
    rows: list[CronWorkflows]


class ScheduledWorkflows(TypedDict):
    metadata: APIResourceMeta
    tenantId: UUID
    workflowVersionId: UUID
    workflowId: UUID
    workflowName: str
    triggerAt: datetime
    method: Method
    input: NotRequired[Json]
    additionalMetadata: NotRequired[Json]
    priority: NotRequired[int]
    workflowRunId: NotRequired[UUID]
    workflowRunName: NotRequired[str]
    workflowRunStatus: NotRequired[
        Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "QUEUED", "SCHEDULED"]
    ]
    workflowRunCreatedAt: NotRequired[datetime]
    failure: NotRequired[str]


class ScheduledWorkflowsList(TypedDict):
    pagination: PaginationResponse
    rows: list[ScheduledWorkflows]


class ScheduledWorkflowsBulkError(TypedDict):
    error: str
    id: NotRequired[UUID]


class ScheduledWorkflowsBulkDeleteResponse(TypedDict):
    deletedIds: list[UUID]
    errors: list[ScheduledWorkflowsBulkError]


class ScheduledWorkflowsBulkUpdateResponse(TypedDict):
    updatedIds: list[UUID]
    errors: list[ScheduledWorkflowsBulkError]


class TriggerRunResult(TypedDict):
    externalId: UUID
