"""What the endpoints of alerts answer. Mail groups, Slack and SNS are those of the contract; the rest is beside it."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict
from uuid import UUID

from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta
from webhooks.alert_models import AlertEvent, ChannelKind, NotificationState


class TenantAlertEmailGroup(TypedDict):
    metadata: APIResourceMeta
    emails: list[str]


class TenantAlertEmailGroupList(TypedDict):
    pagination: PaginationResponse
    rows: list[TenantAlertEmailGroup]


class SlackWebhook(TypedDict):
    metadata: APIResourceMeta
    tenantId: UUID
    teamName: str
    teamId: str
    channelName: str
    channelId: str


class ListSlackWebhooks(TypedDict):
    pagination: PaginationResponse
    rows: list[SlackWebhook]


class SNSIntegration(TypedDict):
    metadata: APIResourceMeta
    tenantId: UUID
    topicArn: str
    ingestUrl: str


class ListSNSIntegrations(TypedDict):
    pagination: PaginationResponse
    rows: list[SNSIntegration]


class AlertRuleSettings(TypedDict):
    """Those of the rule's kind."""

    threshold: NotRequired[int]
    windowSeconds: NotRequired[int]
    statuses: NotRequired[list[str]]
    workflowIds: NotRequired[list[UUID]]
    seconds: NotRequired[int]


class AlertRule(TypedDict):
    metadata: APIResourceMeta
    tenantId: UUID
    name: str
    kind: str
    settings: AlertRuleSettings
    runbook: str
    channelIds: list[UUID]
    isEnabled: bool
    silencedUntil: NotRequired[datetime]


class AlertRuleList(TypedDict):
    pagination: PaginationResponse
    rows: list[AlertRule]


class AlertChannel(TypedDict):
    """Secrets are not in it."""

    metadata: APIResourceMeta
    tenantId: UUID
    name: str
    kind: ChannelKind
    emails: NotRequired[list[str]]
    teamName: NotRequired[str]
    channelName: NotRequired[str]
    topicArn: NotRequired[str]
    accessKeyId: NotRequired[str]
    isPaused: bool
    failingSince: NotRequired[datetime]
    lastError: NotRequired[str]
    lastDeliveredAt: NotRequired[datetime]


class AlertChannelList(TypedDict):
    pagination: PaginationResponse
    rows: list[AlertChannel]


class Alert(TypedDict):
    metadata: APIResourceMeta
    tenantId: UUID
    ruleId: NotRequired[UUID]
    ruleName: str
    kind: str
    title: str
    text: str
    url: str
    runbook: str
    count: int
    openedAt: datetime
    lastSeenAt: datetime
    acknowledgedAt: NotRequired[datetime]
    acknowledgedBy: NotRequired[str]
    silencedUntil: NotRequired[datetime]
    resolvedAt: NotRequired[datetime]
    lastNotifiedAt: NotRequired[datetime]


class AlertList(TypedDict):
    pagination: PaginationResponse
    rows: list[Alert]


class AlertNotification(TypedDict):
    """`channelId` is missing where it went to a member by mail."""

    channelId: NotRequired[UUID]
    address: NotRequired[str]
    event: AlertEvent
    state: NotificationState
    tries: int
    status: NotRequired[int]
    error: NotRequired[str]
    createdAt: datetime
    nextAttemptAt: NotRequired[datetime]
    finishedAt: NotRequired[datetime]


class AlertNotificationList(TypedDict):
    pagination: PaginationResponse
    rows: list[AlertNotification]
