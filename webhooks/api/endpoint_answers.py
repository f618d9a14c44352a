"""What the endpoints of outgoing webhooks answer. All of it is beside the contract."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict
from uuid import UUID

from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta
from webhooks.models import DispatchState, PauseReason


class WebhookEndpoint(TypedDict):
    """`secret` is there when it was made just now, and never again."""

    metadata: APIResourceMeta
    tenantId: UUID
    url: str
    description: str
    kinds: list[str]
    workflowIds: list[UUID]
    isPaused: bool
    pauseReason: NotRequired[PauseReason]
    pausedAt: NotRequired[datetime]
    failingSince: NotRequired[datetime]
    previousSecretExpiresAt: NotRequired[datetime]
    secret: NotRequired[str]


class WebhookEndpointList(TypedDict):
    pagination: PaginationResponse
    rows: list[WebhookEndpoint]


class WebhookMessageAttempt(TypedDict):
    at: datetime
    milliseconds: int
    status: NotRequired[int]
    error: NotRequired[str]
    answer: NotRequired[str]


class WebhookMessage(TypedDict):
    """A message on its way to an endpoint. `webhookId` is that of the header; lists leave `body` out."""

    messageId: UUID
    webhookId: str
    cursor: str
    kind: str
    subjectId: NotRequired[UUID]
    happenedAt: datetime
    state: DispatchState
    attempts: int
    nextAttemptAt: NotRequired[datetime]
    finishedAt: NotRequired[datetime]
    status: NotRequired[int]
    error: NotRequired[str]
    log: list[WebhookMessageAttempt]
    body: NotRequired[str]
    payloadsRestricted: NotRequired[bool]


class WebhookMessageList(TypedDict):
    """`nextCursor` is where to go on: it is there also when nothing has come yet after it."""

    rows: list[WebhookMessage]
    nextCursor: str
    hasMore: bool


class WebhookKind(TypedDict):
    name: str
    summary: str


class WebhookKindList(TypedDict):
    rows: list[WebhookKind]


class SentAnew(TypedDict):
    count: int
