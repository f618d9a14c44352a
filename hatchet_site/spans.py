"""A span around every request, where spans are sent."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from engine import telemetry

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def span_requests(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: say how long each request took, by the pattern of its path and not by what is in it."""

    def respond(request: HttpRequest) -> HttpResponse:
        method = request.method if request.method in _METHODS else "other"
        given = {"method": method, "traceparent": request.headers.get("traceparent", "")}
        with telemetry.span("http.answered", given) as span:
            response = get_response(request)
            match = request.resolver_match
            span.metadata |= {"route": match.route if match else "", "status": response.status_code}
            return response

    return respond
