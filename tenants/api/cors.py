"""Cross-origin rules: any origin may call with a token; none may call with another's cookies."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"


def add_cors_headers(request: Request | HttpRequest, response: HttpResponseBase) -> None:
    response.headers["Access-Control-Allow-Origin"] = "*"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = METHODS
        wanted = request.headers.get("Access-Control-Request-Headers")
        if wanted:
            response.headers["Access-Control-Allow-Headers"] = wanted
