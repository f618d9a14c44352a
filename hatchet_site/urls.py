"""Every URL: health, the REST API, the dashboard."""

from __future__ import annotations

from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView

from hatchet_site import health

handler500 = "hatchet_site.failures.server_error"

urlpatterns = [
    path("api/live", health.live),
    path("api/ready", health.ready),
    path("api/v1/openapi.json", SpectacularJSONAPIView.as_view()),
    path("", include("webhooks.api.urls")),
    path("", include("engine.api.urls")),
    path("", include("dashboard.urls")),
]
