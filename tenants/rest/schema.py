"""Says beside each path what the endpoint is called, what it takes and what it answers.

The OpenAPI document is made from this; what is not described here is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, path
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.views import APIView

from tenants.rest.errors import AnyDict

_FORMATS: dict[str, AnyDict] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "uuid": {"type": "string", "format": "uuid"},
    "date-time": {"type": "string", "format": "date-time"},
}
_REFUSALS = {
    "400": "What was sent is wrong, or not offered.",
    "401": "Signed in, but not allowed to do this.",
    "403": "No credentials, or a token that may not enter here.",
    "404": "There is no such thing.",
}
COMPONENTS: AnyDict = {
    "schemas": {
        "APIErrors": {
            "type": "object",
            "required": ["errors"],
            "properties": {
                "message": {"type": "string"},
                "errors": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["description"],
                        "properties": {
                            "code": {"type": "integer"},
                            "field": {"type": "string"},
                            "description": {"type": "string"},
                        },
                    },
                },
            },
        }
    },
    "responses": {
        status: {
            "description": description,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/APIErrors"}}},
        }
        for status, description in _REFUSALS.items()
    },
    "securitySchemes": {
        "bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "cookieAuth": {"type": "apiKey", "in": "cookie", "name": "hatchet"},
    },
}


def add_components(result: AnyDict, **_: Any) -> AnyDict:
    """Add what all operations share; the settings name this as a hook."""
    for kind, components in COMPONENTS.items():
        result["components"].setdefault(kind, {}).update(components)
    for operations in result["paths"].values():
        for operation in operations.values():
            for status in _REFUSALS:
                operation["responses"][status] = {"$ref": f"#/components/responses/{status}"}
    return result


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `query` and `body` list their names in words, each as `name`, `name:format`, `name:format[]`, with
    `!` at the end of what is required. `answer` is the model the official clients load; None: no body.
    """

    method: str
    identity: str
    answer: str | None
    query: str = ""
    body: str = ""
    is_public: bool = False

    @property
    def success(self) -> int:
        return 204 if self.answer is None else 200


def route(text: str, view: type[APIView], *operations: Operation) -> URLPattern:
    return path(text, view.as_view(operations=operations))


def _schema_of(word: str) -> tuple[str, AnyDict, bool]:
    """Read one word of `query` or `body`: its name, its schema, whether it is required."""
    name, _, kind = word.removesuffix("!").partition(":")
    is_list = kind.endswith("[]")
    schema = _FORMATS[kind.removesuffix("[]") or "string"]
    return name, {"type": "array", "items": schema} if is_list else schema, word.endswith("!")


class ApiSchema(AutoSchema):
    """Describes a view by the operations its path was given."""

    @property
    def operation(self) -> Operation | None:
        operations: Sequence[Operation] = getattr(self.view, "operations", ())
        return next((one for one in operations if one.method == self.method), None)

    @property
    def _described(self) -> Operation:
        assert self.operation is not None, "is_excluded() keeps others away"
        return self.operation

    def is_excluded(self) -> bool:
        return self.operation is None

    def get_operation_id(self) -> str:
        return self._described.identity

    def get_tags(self) -> list[str]:
        return [self._described.identity.split(":", 1)[0]]

    def get_auth(self) -> list[dict[str, Any]]:
        return [{}] if self._described.is_public else [{"bearerAuth": []}, {"cookieAuth": []}]

    def get_override_parameters(self) -> list[Any]:
        in_path = [
            OpenApiParameter(
                name, _FORMATS["string" if name == "name" else "uuid"], OpenApiParameter.PATH
            )
            for name in re.findall(r"{(\w+)}", self.path)
        ]
        in_query = [
            OpenApiParameter(name, schema, required=is_required, explode=True)
            for name, schema, is_required in map(_schema_of, self._described.query.split())
        ]
        return in_path + in_query

    def get_request_serializer(self) -> Any:
        fields = [_schema_of(word) for word in self._described.body.split()]
        if not fields:
            return None
        schema: AnyDict = {
            "type": "object",
            "properties": {name: schema for name, schema, _ in fields},
        }
        required = [name for name, _, is_required in fields if is_required]
        return {"application/json": schema | ({"required": required} if required else {})}

    def get_response_serializers(self) -> Any:
        answer = self._described.answer
        return {self._described.success: None if answer is None else _answer(answer)}


def _answer(model: str) -> AnyDict:
    if model.startswith("["):
        return {"type": "array", "items": _answer(model.strip("[]"))}
    if model in _FORMATS:
        return _FORMATS[model]
    return {"type": "object", "title": model}
