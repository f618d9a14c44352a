"""A tenant, its members, and what it is entitled to."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.shapes import member_shape, tenant_shape
from tenants.models import Member, Role
from tenants.rest.errors import bad_request
from tenants.rest.paging import whole
from tenants.rest.params import Body
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
_FIXED: dict[str, object] = {"analyticsOptOut": True, **_ALERTS, "version": "V1"}
"""What every tenant has, and no tenant can have otherwise: there are neither analytics nor alerts."""


class TenantDetailView(TenantView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(tenant_shape(self.tenant))

    def patch(self, request: Request, **_: Any) -> Response:
        """Rename a tenant. Whatever else it is told to be it must be already."""
        body = self.body
        _check_is_offered(body)
        if body.has("name"):
            self.tenant.name = body.text("name", longest=LONGEST_NAME)
            self.tenant.save(update_fields=["name", "updated_at"])
        return self.get(request)


def _check_is_offered(body: Body) -> None:
    for field, only in _FIXED.items():
        if not body.has(field):
            continue
        wanted = body.text(field) if isinstance(only, str) else body.flag(field, False)
        if wanted != only:
            raise bad_request(f"{field} cannot be {wanted}: {NOT_YET}", field=field)
    if body.has("maxAlertingFrequency"):
        raise bad_request(f"there are no alerts: {NOT_YET}", field="maxAlertingFrequency")


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


class FeatureFlagView(TenantView):
    """Without a flag service the caller's own default is the answer."""

    def get(self, request: Request, **_: Any) -> Response:
        return Response({"isEnabled": self.query.flag("isEnabledIfNoPosthog")})


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
