"""Cross-origin rules: any origin, or only those that match a configured pattern."""

from __future__ import annotations

from fnmatch import fnmatchcase

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"


def add_cors_headers(request: Request | HttpRequest, response: HttpResponseBase) -> None:
    patterns: tuple[str, ...] = tuple(getattr(settings, "HATCHET_ALLOWED_ORIGINS", ()))
    origin = request.headers.get("Origin")
    if not patterns:
        response.headers["Access-Control-Allow-Origin"] = "*"
    else:
        response.headers["Vary"] = "Origin"
        if origin is None or not any(fnmatchcase(origin, pattern) for pattern in patterns):
            if request.method == "OPTIONS":
                response.status_code = 403
            return
        response.headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = METHODS
        wanted = request.headers.get("Access-Control-Request-Headers")
        if wanted:
            response.headers["Access-Control-Allow-Headers"] = wanted
