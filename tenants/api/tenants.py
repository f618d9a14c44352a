"""A tenant, its members, and what it is entitled to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.refusals import AnswersRefusals
from tenants.api.shapes import tenant_shape
from tenants.durations import span_text
from tenants.models import Environment
from tenants.people import alert_settings, tenants
from tenants.people.texts import LONGEST_NAME
from tenants.rest import in_body, in_query
from tenants.rest.accepted import part, takes_body, takes_query
from tenants.rest.render import metadata, timestamp
from tenants.rest.views import NOT_YET, TenantView, UserView


@dataclass(frozen=True, slots=True)
class AlertSettings:
    alerts_members: bool | None = in_body.optional_flag("alertMemberEmails")
    alerts_of_failures: bool | None = in_body.optional_flag("enableWorkflowRunFailureAlerts")
    alerts_of_tokens: bool | None = in_body.optional_flag("enableExpiringTokenAlerts")
    alerts_of_limits: bool | None = in_body.optional_flag("enableTenantResourceLimitAlerts")
    frequency: str | None = in_body.optional_text("maxAlertingFrequency")


@dataclass(frozen=True, slots=True)
class TenantUpdate:
    """There are no analytics, so no tenant can have them."""

    analytics_opt_out: None = in_body.only("analyticsOptOut", True, NOT_YET)
    version: None = in_body.only("version", "V1", NOT_YET)
    name: str | None = in_body.optional_text("name", longest=LONGEST_NAME)
    alerts: AlertSettings = part(AlertSettings)


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What the survey of a cloud's newcomers found out (`onboardingData`) is not kept."""

    name: str = in_body.text("name", longest=LONGEST_NAME)
    slug: str = in_body.text("slug", longest=tenants.LONGEST_SLUG)
    engine_version: None = in_body.only("engineVersion", "V1", NOT_YET)
    environment: Environment | None = in_body.choice(
        "environment", {one.value: one for one in Environment}, is_required=False
    )


class TenantsView(AnswersRefusals, UserView):
    @takes_body(NewTenant)
    def post(self, request: Request, new: NewTenant, **_: Any) -> Response:
        """Make a tenant; whoever is signed in becomes its OWNER."""
        tenant = tenants.create_tenant(
            self.user,
            name=new.name,
            slug=new.slug,
            environment=new.environment or Environment.DEVELOPMENT,
        )
        return Response(tenant_shape(tenant))


@dataclass(frozen=True, slots=True)
class Deletion:
    """`confirm` is the tenant's slug, typed by whoever means it."""

    confirm: str = in_body.any_text("confirm", longest=200)


class TenantDetailView(AnswersRefusals, TenantView):
    of_archived = ("DELETE",)

    def get(self, request: Request, **_: Any) -> Response:
        return Response(tenant_shape(self.tenant))

    @takes_body(TenantUpdate)
    def patch(self, request: Request, wanted: TenantUpdate, **_: Any) -> Response:
        """Rename a tenant, or change what it is alerted of. Whatever else it is told to be it must be already."""
        alert_settings.change_alerts(self.access, wanted.alerts)
        if wanted.name is not None:
            tenants.rename_tenant(self.access, wanted.name)
        return self.get(request)

    @takes_body(Deletion)
    def delete(self, request: Request, wanted: Deletion, **_: Any) -> Response:
        """Delete the tenant and all that is in it, for ever. This is for its owners."""
        tenants.delete_tenant(self.access, wanted.confirm)
        return Response(status=204)


class ArchiveView(AnswersRefusals, TenantView):
    """Puts the tenant to rest: its tokens are refused, and nothing starts in it."""

    of_archived = ("POST",)

    def post(self, request: Request, **_: Any) -> Response:
        return Response(tenant_shape(tenants.archive_tenant(self.access)))


class UnarchiveView(AnswersRefusals, TenantView):
    """Wakes an archived tenant."""

    of_archived = ("POST",)

    def post(self, request: Request, **_: Any) -> Response:
        return Response(tenant_shape(tenants.unarchive_tenant(self.access)))


class AlertingView(TenantView):
    def get(self, request: Request, **_: Any) -> Response:
        tenant = self.tenant
        shape = {
            "metadata": metadata(tenant.id, tenant.created_at, tenant.updated_at),
            "alertMemberEmails": tenant.alerts_members,
            "enableWorkflowRunFailureAlerts": tenant.alerts_of_failures,
            "enableExpiringTokenAlerts": tenant.alerts_of_tokens,
            "enableTenantResourceLimitAlerts": tenant.alerts_of_limits,
            "maxAlertingFrequency": span_text(timedelta(seconds=tenant.alert_frequency_seconds)),
        }
        if tenant.last_alerted_at is not None:
            shape["lastAlertedAt"] = timestamp(tenant.last_alerted_at)
        return Response(shape)


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
                "strictAdditionalMetadataFilters",
                "dagOperator",
                "durableStreams",
                "serverlessOperator",
            ),
            False,
        )
        return Response(offered | {"auditLogs": True, "prometheusMetrics": True})
