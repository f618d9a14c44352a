"""Paths of the contract that this server does not serve: each says so, none is a dead end.

They answer 400, not 501: clients repeat what looks like a server's failure.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import URLPattern, path
from rest_framework.request import Request

from engine.api.views import EngineView
from tenants.rest.errors import ApiError
from tenants.rest.views import (
    NO_CREDENTIALS,
    NOT_YET,
    PublicView,
    bearer_token,
    session_user,
)

_T = "api/v1/tenants/<str:tenant>"
_ST = "api/v1/stable/tenants/<str:tenant>"
_S = "api/v1/stable"
_V = "api/v1"

LEGACY = "this endpoint is deprecated; use its successor under /api/v1/stable"
SWITCHED_OFF = "this is switched off on this server"

_LATER_IN_TENANT = (
    f"{_ST}/operators/http",
    f"{_ST}/serverless/endpoints",
    f"{_ST}/streams/payloads",
    f"{_ST}/streams/topics",
)
_LEGACY_IN_TENANT = (
    f"{_T}/events",
    f"{_T}/events/bulk",
    f"{_T}/events/cancel",
    f"{_T}/events/keys",
    f"{_T}/events/replay",
    f"{_T}/queue-metrics",
    f"{_T}/step-runs/<str:step_run>",
    f"{_T}/step-runs/<str:step_run>/cancel",
    f"{_T}/step-runs/<str:step_run>/rerun",
    f"{_T}/step-runs/<str:step_run>/schema",
    f"{_T}/webhook-workers",
    f"{_T}/workflow-runs/replay",
    f"{_T}/workflow-runs/<str:run>",
    f"{_T}/workflow-runs/<str:run>/input",
    f"{_T}/workflow-runs/<str:run>/shape",
    f"{_T}/workflow-runs/<str:run>/step-run-events",
    f"{_T}/workflows/cancel",
    f"{_T}/workflows/runs",
    f"{_T}/workflows/runs/metrics",
    f"{_T}/workflows/<str:workflow>/worker-count",
)
LATER_ALONE = (
    f"{_S}/operators/http/<str:operator>",
    f"{_S}/serverless/endpoints/<str:endpoint>",
)
LEGACY_ALONE = (
    f"{_V}/monitoring/<str:tenant>/probe",
    f"{_V}/step-runs/<str:step_run>/archives",
    f"{_V}/step-runs/<str:step_run>/events",
    f"{_V}/webhook-workers/<str:worker>",
    f"{_V}/webhook-workers/<str:worker>/requests",
    f"{_V}/workflows/<str:workflow>/metrics",
    f"{_V}/workflows/<str:workflow>/trigger",
)


class RefusedInTenantView(EngineView):
    """Refuses whoever may enter the tenant; others learn no more than elsewhere."""

    sentence: ClassVar[str] = NOT_YET

    def check_resource(self) -> None:
        raise ApiError(400, self.sentence)


class LegacyInTenantView(RefusedInTenantView):
    sentence = LEGACY


class RefusedView(PublicView):
    """Refuses anybody with credentials."""

    sentence: ClassVar[str] = NOT_YET

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        inner = request._request
        if bearer_token(inner) is None and session_user(inner) is None:
            raise ApiError(403, NO_CREDENTIALS)
        raise ApiError(400, self.sentence)


class LegacyView(RefusedView):
    sentence = LEGACY


urlpatterns: list[URLPattern] = [
    *(path(route, RefusedInTenantView.as_view()) for route in _LATER_IN_TENANT),
    *(path(route, LegacyInTenantView.as_view()) for route in _LEGACY_IN_TENANT),
    *(path(route, RefusedView.as_view()) for route in LATER_ALONE),
    *(path(route, LegacyView.as_view()) for route in LEGACY_ALONE),
]
