"""A view that does nothing, served by Django as it comes: the floor that REST calls and webhooks are held against."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from hatchet_site.settings import *  # noqa: F403  (middleware and all else are the same)

ROOT_URLCONF = "benchmarks.empty_view"
ASGI_APPLICATION = "benchmarks.empty_asgi.application"


@csrf_exempt
def empty(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [path("empty", empty)]
