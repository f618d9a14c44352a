"""A tenant, its members, and what it is entitled to."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.paging import whole
from tenants.api.shapes import member_shape, tenant_shape
from tenants.api.views import TenantView
from tenants.models import Member, Role


class TenantDetailView(TenantView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(tenant_shape(self.tenant))


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
