"""What answers when something failed outside the views, which answer for their own failures."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from tenants.rest.cors import add_cors_headers
from tenants.rest.errors import FAILED, error_body


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer in the contract's shape below /api, with a page elsewhere; Django has logged the failure."""
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    answer = JsonResponse(error_body(500, FAILED), status=500)
    add_cors_headers(request, answer)
    return answer
