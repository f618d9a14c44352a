"""The error body of every answer that is not a success, and which exception becomes which status."""

from __future__ import annotations

import logging
from typing import Any, NotRequired, TypedDict

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from tenants.access import AccessDenied
from tenants.resources import LimitReached

log = logging.getLogger(__name__)

AnyDict = dict[str, Any]
FAILED = "something went wrong on the server"


class APIError(TypedDict):
    description: str
    code: NotRequired[int]
    field: NotRequired[str]


class APIErrors(TypedDict):
    errors: list[APIError]
    message: NotRequired[str]


class ApiError(Exception):
    """A refusal with its HTTP status and the sentence the caller is shown."""

    def __init__(self, status: int, description: str, *, field: str | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.field = field


def bad_request(description: str, *, field: str | None = None) -> ApiError:
    return ApiError(400, description, field=field)


def error_body(status: int, description: str, field: str | None = None) -> AnyDict:
    """Both shapes clients look for: `errors`, and beside it a plain `message`."""
    error: AnyDict = {"code": status, "description": description}
    if field is not None:
        error["field"] = field
    return {"errors": [error], "message": description}


def handle_exception(error: Exception, _context: AnyDict) -> Response:
    """Turn whatever a view raised into an answer; what nobody expected is logged and says nothing."""
    set_rollback()
    status, description, field = _meaning_of(error)
    if status == 500:
        log.error("an API request failed", exc_info=error)
    return Response(error_body(status, description, field), status=status)


def _meaning_of(error: Exception) -> tuple[int, str, str | None]:
    match error:
        case ApiError():
            return error.status, error.description, error.field
        case AccessDenied():
            return 401, str(error), None
        case LimitReached():
            return 429, str(error), None
        case exceptions.APIException():
            return error.status_code, str(error.detail), None
        case Http404():
            return 404, "not found", None
        case RequestDataTooBig():
            return 413, "the body is too large", None
        case SuspiciousOperation():
            return 400, "the request was refused", None
        case _:
            return 500, FAILED, None
