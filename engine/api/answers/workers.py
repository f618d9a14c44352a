"""What endpoints about workers answer, under the names that clients know."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID

from engine.models.worker_queries import WorkerStatus
from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta


class WorkerLabel(TypedDict):
    metadata: APIResourceMeta
    key: str
    value: NotRequired[str | None]


class WorkerSlotConfig(TypedDict):
    limit: int
    available: NotRequired[int]


class WorkerRuntimeInfo(TypedDict):
    sdkVersion: NotRequired[str]
    language: NotRequired[Literal["GOLANG", "PYTHON", "TYPESCRIPT", "RUBY"]]
    languageVersion: NotRequired[str]
    os: NotRequired[str]
    runtimeExtra: NotRequired[str]


class RegisteredWorkflow(TypedDict):
    id: UUID
    name: str


class SemaphoreSlots(TypedDict):
    """A task that is running on the worker."""

    stepRunId: UUID
    actionId: str
    workflowRunId: UUID
    status: NotRequired[Literal["RUNNING"]]


class Worker(TypedDict):
    metadata: APIResourceMeta
    name: str
    type: Literal["SELFHOSTED", "MANAGED", "WEBHOOK"]
    status: NotRequired[WorkerStatus]
    trouble: NotRequired[str]
    lastHeartbeatAt: NotRequired[datetime]
    lastListenerEstablished: NotRequired[datetime]
    dispatcherId: NotRequired[UUID]
    slotConfig: NotRequired[dict[str, WorkerSlotConfig]]
    labels: NotRequired[list[WorkerLabel]]
    actions: NotRequired[list[str]]
    hatchet__omitted_bytes: NotRequired[int]
    runtimeInfo: NotRequired[WorkerRuntimeInfo]
    registeredWorkflows: NotRequired[list[RegisteredWorkflow]]
    slots: NotRequired[list[SemaphoreSlots]]
    recentStepRuns: NotRequired[list[Any]]


class WorkerList(TypedDict):
    pagination: PaginationResponse
    rows: list[Worker]
