"""What the endpoints of users, tenants and tokens answer, under the names that clients know."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

from tenants.rest.answered import Json
from tenants.rest.paging import PaginationResponse
from tenants.rest.render import APIResourceMeta

TenantMemberRole = Literal["OWNER", "ADMIN", "MEMBER", "VIEWER"]


class User(TypedDict):
    metadata: APIResourceMeta
    email: str
    emailVerified: bool
    name: NotRequired[str]
    hasPassword: NotRequired[bool]
    emailHash: NotRequired[str]


class Tenant(TypedDict):
    metadata: APIResourceMeta
    name: str
    slug: str
    version: Literal["V0", "V1"]
    environment: NotRequired[Literal["local", "development", "production"]]
    analyticsOptOut: NotRequired[bool]
    alertMemberEmails: NotRequired[bool]
    serverUrl: NotRequired[str]
    archivedAt: NotRequired[datetime]


class UserTenantPublic(TypedDict):
    email: str
    name: NotRequired[str]


class TenantMember(TypedDict):
    metadata: APIResourceMeta
    user: UserTenantPublic
    role: TenantMemberRole
    canViewPayloads: NotRequired[bool]
    tenant: NotRequired[Tenant]


class TenantMemberList(TypedDict):
    pagination: PaginationResponse
    rows: list[TenantMember]


class UserTenantMembershipsList(TypedDict):
    pagination: PaginationResponse
    rows: list[TenantMember]


class APIToken(TypedDict):
    """`replacedBy` is what it was rotated to; `lastUsedAt` is missing before its first use."""

    metadata: APIResourceMeta
    name: str
    expiresAt: datetime
    scope: Literal["full", "read-only", "trigger-only", "worker-only"]
    lastUsedAt: NotRequired[datetime]
    replacedBy: NotRequired[UUID]


class ListAPITokensResponse(TypedDict):
    pagination: PaginationResponse
    rows: list[APIToken]


class CreateAPITokenResponse(TypedDict):
    """The token is shown here and never again."""

    token: str


class RotateAPITokenResponse(TypedDict):
    """The new token is shown here and never again; the old one is accepted until it expires."""

    token: str
    previousExpiresAt: datetime


class TenantAlertingSettings(TypedDict):
    metadata: APIResourceMeta
    maxAlertingFrequency: str
    alertMemberEmails: NotRequired[bool]
    enableWorkflowRunFailureAlerts: NotRequired[bool]
    enableExpiringTokenAlerts: NotRequired[bool]
    enableTenantResourceLimitAlerts: NotRequired[bool]
    lastAlertedAt: NotRequired[datetime]


class TenantResourceLimit(TypedDict):
    metadata: APIResourceMeta
    resource: Literal[
        "WORKER", "WORKER_SLOT", "EVENT", "TASK_RUN", "CRON", "SCHEDULE", "INCOMING_WEBHOOK"
    ]
    limitValue: int
    value: int
    alarmValue: NotRequired[int]
    window: NotRequired[str]
    lastRefill: NotRequired[datetime]


class TenantResourcePolicy(TypedDict):
    limits: list[TenantResourceLimit]


class FeatureFlagEvaluationResult(TypedDict):
    isEnabled: bool


class TenantEntitlements(TypedDict):
    auditLogs: bool
    prometheusMetrics: bool
    strictAdditionalMetadataFilters: bool
    dagOperator: bool
    durableStreams: bool
    serverlessOperator: bool


class TenantInvite(TypedDict):
    """`link` is what has to be handed over to who is invited, where it could not be mailed."""

    metadata: APIResourceMeta
    email: str
    role: TenantMemberRole
    tenantId: UUID
    expires: datetime
    canViewPayloads: NotRequired[bool]
    tenantName: NotRequired[str]
    link: NotRequired[str]


class TenantInviteList(TypedDict):
    pagination: PaginationResponse
    rows: list[TenantInvite]


class AuditActor(TypedDict):
    """A person's id and e-mail address, a token's id and name, or the user who ran a command."""

    kind: Literal["person", "token", "cli", "system"]
    id: str
    name: str


class AuditResource(TypedDict):
    kind: str
    id: str
    name: str


class AuditLogEntry(TypedDict):
    """`before` and `after` hold what differs, or all of what was made or deleted, without secrets."""

    id: str
    at: datetime
    tenantId: NotRequired[UUID]
    action: str
    actor: AuditActor
    resource: AuditResource
    before: NotRequired[Json]
    after: NotRequired[Json]
    address: str
    userAgent: str


class CursorPagination(TypedDict):
    nextCursor: NotRequired[str]


class AuditLogEntryList(TypedDict):
    pagination: CursorPagination
    rows: list[AuditLogEntry]
