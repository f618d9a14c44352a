"""What endpoints about events, filters and expressions answer, under the names that clients know."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from tenants.rest.answered import Json
from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta


class V1EventWorkflowRunSummary(TypedDict):
    running: int
    queued: int
    succeeded: int
    failed: int
    cancelled: int


class V1EventTriggeredRun(TypedDict):
    workflowRunId: UUID
    filterId: NotRequired[UUID]


class V1Event(TypedDict):
    metadata: APIResourceMeta
    key: str
    tenantId: UUID
    workflowRunSummary: V1EventWorkflowRunSummary
    additionalMetadata: NotRequired[Json]
    payload: NotRequired[Json]
    payloadsRestricted: NotRequired[bool]
    scope: NotRequired[str]
    seenAt: NotRequired[datetime]
    triggeredRuns: NotRequired[list[V1EventTriggeredRun]]
    triggeringWebhookName: NotRequired[str]


class V1EventList(TypedDict):
    pagination: PaginationResponse
    rows: list[V1Event]


class EventKeyList(TypedDict):
    pagination: PaginationResponse
    rows: list[str]


class Event(TypedDict):
    """An event in the older and smaller shape."""

    metadata: APIResourceMeta
    key: str
    tenantId: UUID
    additionalMetadata: NotRequired[Json]


class EventData(TypedDict):
    """`data` is the text of a JSON object."""

    data: str


class V1Filter(TypedDict):
    metadata: APIResourceMeta
    tenantId: UUID
    workflowId: UUID
    scope: str
    expression: str
    payload: Json
    isDeclarative: NotRequired[bool]


class V1FilterList(TypedDict):
    pagination: PaginationResponse
    rows: list[V1Filter]


class V1CELDebugResponse(TypedDict):
    """`output` with SUCCESS, `error` with ERROR."""

    status: Literal["SUCCESS", "ERROR"]
    output: NotRequired[bool]
    error: NotRequired[str]
