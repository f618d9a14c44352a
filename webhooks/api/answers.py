"""What the endpoints of webhooks answer; names of the contract where it has them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from engine.api.answers.events import V1Event
from tenants.rest.answered import Json
from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta
from webhooks.models import AuthType, Verdict


class V1Webhook(TypedDict):
    metadata: APIResourceMeta
    tenantId: UUID
    name: str
    sourceName: str
    eventKeyExpression: str
    scopeExpression: NotRequired[str]
    staticPayload: NotRequired[Json]
    authType: AuthType
    returnEventAsResponsePayload: bool


class V1WebhookList(TypedDict):
    pagination: PaginationResponse
    rows: list[V1Webhook]


class V1WebhookResponse(TypedDict):
    """Either the event that came of a delivery, or the challenge of a sender that asks for one."""

    message: NotRequired[Literal["ok"]]
    event: NotRequired[V1Event]
    challenge: NotRequired[str]


class WebhookDeliveryRun(TypedDict):
    workflowRunId: UUID


class WebhookDelivery(TypedDict):
    """A request that came to a webhook. `triggeredRuns` and `body` are left out of lists."""

    metadata: APIResourceMeta
    tenantId: UUID
    webhookName: str
    receivedAt: datetime
    remoteAddress: str
    verdict: Verdict
    isVerified: bool
    canBeRedelivered: bool
    status: int
    error: NotRequired[str]
    eventKey: NotRequired[str]
    scope: NotRequired[str]
    eventId: NotRequired[UUID]
    redeliveryOf: NotRequired[UUID]
    headers: dict[str, str]
    bodyBytes: int
    isBodyWhole: bool
    triggeredRuns: NotRequired[list[WebhookDeliveryRun]]
    body: NotRequired[str]
    payloadsRestricted: NotRequired[bool]


class WebhookDeliveryList(TypedDict):
    pagination: PaginationResponse
    rows: list[WebhookDelivery]
