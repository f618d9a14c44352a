"""The web process with one view that does nothing: settings and urls of the floor that webhooks are held against."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from hatchet_site.settings import *  # noqa: F403  (everything but the urls is the same)

ROOT_URLCONF = "benchmarks.empty_view"


@csrf_exempt
def empty(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [path("empty", empty)]
