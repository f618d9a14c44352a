"""Turning a context into a page or into one of its live fragments."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def render_fragment(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render a live fragment; 304 when the browser shows exactly this already."""
    response = render(request, template, context)
    tag = hashlib.sha256(response.content).hexdigest()[:20]
    if request.headers.get("HX-PTag") == tag:
        response = HttpResponse(status=304)
    response["HX-PTag"] = tag
    response["Cache-Control"] = "no-store"
    return response
