"""Which HTTP status each of the engine's errors becomes."""

from __future__ import annotations

from rest_framework.response import Response

from engine import telemetry
from engine.api.idempotency import AnsweredBefore
from engine.errors import HatchetError
from tenants.rest.errors import AnyDict, ApiError, handle_exception

STATUSES = {
    "invalid_argument": 400,
    "not_found": 404,
    "already_exists": 409,
    "failed_precondition": 409,
    "resource_exhausted": 429,
    "unavailable": 503,
}


def handle_engine_exception(error: Exception, context: AnyDict) -> Response:
    if isinstance(error, AnsweredBefore):
        return error.response()
    shown = error
    if isinstance(error, HatchetError):
        shown = ApiError(STATUSES.get(error.code, 500), str(error))
    response = handle_exception(shown, context)
    if response.status_code >= 500:
        telemetry.emit("rest.failed", {}, {"status": response.status_code, "error": error})
    return response
