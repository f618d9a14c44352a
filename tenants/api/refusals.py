"""Which HTTP status each refusal about people and tenants becomes."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response

from tenants.passwords import PasswordRefused
from tenants.people.refusals import Forbidden, Refused, Unknown
from tenants.rest.errors import AnyDict, ApiError, bad_request, handle_exception

_STATUSES: dict[type[Refused], int] = {Refused: 400, Forbidden: 403, Unknown: 404}


class AnswersRefusals:
    """Stands before the view class of an endpoint that calls `tenants.people`."""

    def get_exception_handler(self) -> Any:
        return _handle


def _handle(error: Exception, context: AnyDict) -> Response:
    shown = error
    if isinstance(error, Refused):
        shown = ApiError(_STATUSES[type(error)], str(error), field=error.field)
    elif isinstance(error, PasswordRefused):
        shown = bad_request(str(error), field="password")
    return handle_exception(shown, context)
