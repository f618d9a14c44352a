"""Says beside each path what the endpoint is called and what it answers.

The OpenAPI document is made from this and from what the handlers take; what is not described is not in it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.views import APIView

from tenants.audit.declared import Declared
from tenants.rest.accepted import Taken, object_schema, parameters_of, taken_by
from tenants.rest.answered import components_of, schema_of
from tenants.rest.errors import AnyDict, APIErrors
from tenants.rest.in_query import UUID_TEXT

IDEMPOTENCY_KEY = "Idempotency-Key"
JSON = "application/json"
_REFUSALS = {
    HTTPStatus.BAD_REQUEST: "What was sent is wrong, or not offered.",
    HTTPStatus.UNAUTHORIZED: "Signed in, but not allowed to do this.",
    HTTPStatus.FORBIDDEN: "No credentials, or a token that may not enter here.",
    HTTPStatus.NOT_FOUND: "There is no such thing.",
    HTTPStatus.CONFLICT: "It exists already, or its state does not allow this.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than a message may be.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not declared to be JSON.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key was used for another request.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many tries, or a limit is reached.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on the server.",
    HTTPStatus.SERVICE_UNAVAILABLE: "What is needed for this cannot be reached now.",
}
_OF_BODIES = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_OF_CHANGES = (HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_SECURITY: AnyDict = {
    "bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "cookieAuth": {"type": "apiKey", "in": "cookie", "name": "hatchet"},
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `answer` is the type of its body, None if it has none.

    `takes_any_body`: what is sent may be of any kind. `may_say_nothing`: or it answers 204.
    `status` is that of a success, where it is not 200, or 204 without a body.
    `media_type`: that of the answer; of lines, `answer` is the type of each. `also_refuses`: what others
    of its method do not. `audits`: what of it is in the audit log; whatever is not a GET says that.
    """

    method: str
    identity: str
    answer: Any
    is_public: bool = False
    takes_any_body: bool = False
    may_say_nothing: bool = False
    status: int | None = None
    media_type: str = JSON
    also_refuses: tuple[HTTPStatus, ...] = ()
    audits: Declared | None = None

    @property
    def success(self) -> int:
        return self.status or (204 if self.answer is None else 200)


def route(text: str, view: type[APIView], *operations: Operation) -> URLPattern:
    return path(text, view.as_view(operations=operations))


def add_components(result: AnyDict, generator: Any, **_: Any) -> AnyDict:
    """Add what operations refer to, and the refusals each can meet; the settings name this as a hook."""
    models, limited = components_of(APIErrors), _limited(generator)
    by_identity = {operation.identity: operation for operation in _operations(generator)}
    for operation in by_identity.values():
        models |= components_of(operation.answer)
    components: AnyDict = result["components"]
    components["schemas"] = dict(sorted(models.items()))
    components["responses"] = {str(int(status)): _refusal(status) for status in _REFUSALS}
    components["securitySchemes"] = _SECURITY
    for operations in result["paths"].values():
        for method, described in operations.items():
            if "requestBody" in described:
                described["requestBody"]["required"] = True
            operation = by_identity[described["operationId"]]
            also = operation.also_refuses
            if operation.identity in limited:
                also = (*also, HTTPStatus.TOO_MANY_REQUESTS)
            for status in _refusals_of(method, described, also):
                key = str(int(status))
                described["responses"][key] = {"$ref": f"#/components/responses/{key}"}
    return result


def _operations(generator: Any) -> Iterator[Operation]:
    for _path, _pattern, _method, callback in generator.endpoints:
        yield from callback.initkwargs.get("operations", ())


def _limited(generator: Any) -> set[str]:
    """Return the ids of operations that one address may not ask for as often as it likes."""
    return {
        operation.identity
        for _path, _pattern, method, callback in generator.endpoints
        for operation in callback.initkwargs.get("operations", ())
        if operation.method == method and method in callback.cls.limited_methods
    }


def _refusal(status: HTTPStatus) -> AnyDict:
    return {
        "description": _REFUSALS[status],
        "content": {"application/json": {"schema": schema_of(APIErrors)}},
    }


def _refusals_of(method: str, described: AnyDict, also: tuple[HTTPStatus, ...]) -> list[HTTPStatus]:
    """The refusals an operation can meet, in the order of their numbers."""
    is_keyed = any(one["name"] == IDEMPOTENCY_KEY for one in described.get("parameters", ()))
    left_out: set[HTTPStatus] = set()
    if "requestBody" not in described:
        left_out.update(_OF_BODIES)
    if method == "get":
        left_out.update(_OF_CHANGES)
    if is_keyed:  # its body is read, also where nobody asks for one
        left_out.discard(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    else:
        left_out.add(HTTPStatus.UNPROCESSABLE_ENTITY)
    return [status for status in _REFUSALS if status in also or status not in left_out]


class ApiSchema(AutoSchema):
    """Describes a view by the operations its path was given and by what its handlers take."""

    @property
    def operation(self) -> Operation | None:
        operations: Sequence[Operation] = getattr(self.view, "operations", ())
        return next((one for one in operations if one.method == self.method), None)

    @property
    def _described(self) -> Operation:
        assert self.operation is not None, "is_excluded() keeps others away"
        return self.operation

    def _taken_from(self, place: str) -> type[Any] | None:
        taken: Taken | None = taken_by(getattr(self.view, self.method.lower(), None))
        return taken.kind if taken is not None and taken.place == place else None

    def is_excluded(self) -> bool:
        return self.operation is None

    def get_operation_id(self) -> str:
        return self._described.identity

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular gives it no arguments
        """What the handler or its own view says; what a view inherits is said of all of them."""
        handler = getattr(self.view, self.method.lower(), None)
        said = getattr(handler, "__doc__", None) or vars(type(self.view)).get("__doc__")
        return inspect.cleandoc(said or "")

    def get_tags(self) -> list[str]:
        return [self._described.identity.split(":", 1)[0]]

    def get_auth(self) -> list[dict[str, Any]]:
        return [{}] if self._described.is_public else [{"bearerAuth": []}, {"cookieAuth": []}]

    def get_override_parameters(self) -> list[Any]:
        in_path = [
            OpenApiParameter(name, self._schema_in_path(name), OpenApiParameter.PATH)
            for name in re.findall(r"{(\w+)}", self.path)
        ]
        taken = self._taken_from("query")
        in_query = [
            OpenApiParameter(one.name, one.schema, required=one.is_required, explode=True)
            for one in (() if taken is None else parameters_of(taken))
        ]
        return in_path + in_query + (self._headers() if self.method == "POST" else [])

    def _headers(self) -> list[Any]:
        is_keyed = getattr(self.view, "takes_idempotency_key", False)
        if not is_keyed or self._described.is_public:
            return []
        said = "The same key and request are answered as before, for 24 hours, and done once."
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        return [
            OpenApiParameter(IDEMPOTENCY_KEY, schema, OpenApiParameter.HEADER, description=said)
        ]

    def _schema_in_path(self, name: str) -> AnyDict:
        return UUID_TEXT if name in getattr(self.view, "path_ids", ()) else {"type": "string"}

    def get_request_serializer(self) -> Any:
        if self._described.takes_any_body:
            return {"*/*": {}}
        taken = self._taken_from("body")
        return None if taken is None else {"application/json": object_schema(taken)}

    def _get_request_body(self, direction: Any = "request") -> Any:
        """Also of a DELETE that takes one, which the framework takes for an error."""
        taken = self._taken_from("body")
        if self.method != "DELETE" or taken is None:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]  # it has none
        return {"content": {"application/json": {"schema": object_schema(taken)}}}

    def get_response_serializers(self) -> Any:
        answer = self._described.answer
        nothing = {204: None} if self._described.may_say_nothing else {}
        if answer is None:
            return {self._described.success: None} | nothing
        if self.method == "GET" and self._described.media_type == JSON:
            nothing[304] = None
        success = (self._described.success, self._described.media_type)
        return {success: schema_of(answer)} | nothing
