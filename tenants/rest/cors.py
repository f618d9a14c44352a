"""Cross-origin rules: allowed origins may call with a token; none may call with another's cookies."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers
from rest_framework.request import Request

from tenants.installation import installation
from tenants.origins import SAFE_METHODS, is_allowed, is_foreign
from tenants.rest.errors import ApiError

METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"


def refuse_foreign_pages(request: HttpRequest) -> None:
    """Raise 403 for what another origin's page may not do.

    Without an API token only the visitor's session can be meant, and that is for our own pages.
    """
    if request.method == "OPTIONS":
        origin = request.headers.get("Origin")
        if origin is not None and not is_allowed(origin, installation().allowed_origins):
            raise ApiError(403, "this origin may not call the API; see SERVER_ALLOWED_ORIGINS")
        return
    if request.method in SAFE_METHODS or "Authorization" in request.headers:
        return
    is_from_elsewhere = is_foreign(
        request.headers.get("Origin"),
        request.headers.get("Sec-Fetch-Site"),
        scheme="https" if request.is_secure() else "http",
        host=request.get_host(),
    )
    if is_from_elsewhere:
        raise ApiError(403, "a page of another origin may not use your session")


def add_cors_headers(request: Request | HttpRequest, response: HttpResponseBase) -> None:
    patterns = installation().allowed_origins
    if not patterns:
        response.headers["Access-Control-Allow-Origin"] = "*"
    else:
        patch_vary_headers(response, ["Origin"])
        origin = request.headers.get("Origin")
        if origin is None or not is_allowed(origin, patterns):
            return
        response.headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = METHODS
        wanted = request.headers.get("Access-Control-Request-Headers")
        if wanted:
            response.headers["Access-Control-Allow-Headers"] = wanted
