"""A tenant, its members, and what it is entitled to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.shapes import member_shape, tenant_shape
from tenants.models import Member, Role
from tenants.rest import in_body, in_query
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.paging import whole
from tenants.rest.render import metadata
from tenants.rest.views import NOT_YET, TenantView

LONGEST_NAME = 200
_ALERTS = dict.fromkeys(
    (
        "alertMemberEmails",
        "enableWorkflowRunFailureAlerts",
        "enableExpiringTokenAlerts",
        "enableTenantResourceLimitAlerts",
    ),
    False,
)


@dataclass(frozen=True, slots=True)
class TenantUpdate:
    """There are neither analytics nor alerts, so no tenant can have them."""

    analytics_opt_out: None = in_body.only("analyticsOptOut", True, NOT_YET)
    alert_members: None = in_body.only("alertMemberEmails", False, NOT_YET)
    alert_of_failures: None = in_body.only("enableWorkflowRunFailureAlerts", False, NOT_YET)
    alert_of_tokens: None = in_body.only("enableExpiringTokenAlerts", False, NOT_YET)
    alert_of_limits: None = in_body.only("enableTenantResourceLimitAlerts", False, NOT_YET)
    version: None = in_body.only("version", "V1", NOT_YET)
    alert_frequency: None = in_body.never("maxAlertingFrequency", f"there are no alerts: {NOT_YET}")
    name: str | None = in_body.optional_text("name", longest=LONGEST_NAME)


class TenantDetailView(TenantView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(tenant_shape(self.tenant))

    @takes_body(TenantUpdate)
    def patch(self, request: Request, wanted: TenantUpdate, **_: Any) -> Response:
        """Rename a tenant. Whatever else it is told to be it must be already."""
        if wanted.name is not None:
            self.tenant.name = wanted.name
            self.tenant.save(update_fields=["name", "updated_at"])
        return self.get(request)


class AlertingView(TenantView):
    """Nobody is alerted of anything."""

    def get(self, request: Request, **_: Any) -> Response:
        return Response(
            {
                "metadata": metadata(
                    self.tenant.id, self.tenant.created_at, self.tenant.updated_at
                ),
                **_ALERTS,
                "maxAlertingFrequency": "1h",
            }
        )


class MembersView(TenantView):
    reading_needs = Role.ADMIN

    def get(self, request: Request, **_: Any) -> Response:
        members = Member.objects.filter(tenant=self.tenant).select_related("user")
        return Response(whole([member_shape(member) for member in members.order_by("created_at")]))


class ResourcePolicyView(TenantView):
    """No limits are enforced, so there are none to list."""

    def get(self, request: Request, **_: Any) -> Response:
        return Response({"limits": []})


@dataclass(frozen=True, slots=True)
class FeatureFlag:
    identity: str | None = in_query.text("featureFlagId")
    default: bool = in_query.flag("isEnabledIfNoPosthog")


class FeatureFlagView(TenantView):
    """Without a flag service the caller's own default is the answer."""

    @takes_query(FeatureFlag)
    def get(self, request: Request, asked: FeatureFlag, **_: Any) -> Response:
        return Response({"isEnabled": asked.default})


class EntitlementsView(TenantView):
    """What this server really offers; a `True` appears together with its feature."""

    def get(self, request: Request, **_: Any) -> Response:
        offered = dict.fromkeys(
            (
                "auditLogs",
                "prometheusMetrics",
                "strictAdditionalMetadataFilters",
                "dagOperator",
                "durableStreams",
                "serverlessOperator",
            ),
            False,
        )
        return Response(offered)
