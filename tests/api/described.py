"""Compares answers with what the OpenAPI document says of them, strictly: nothing may be undescribed."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any
from uuid import UUID

from django.urls import Resolver404, resolve
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator, FormatChecker

LINES = "application/x-ndjson"
MOST_BYTES = 200_000
"""Longer answers are lists of rows whose like is seen in shorter ones."""

_FORMATS = FormatChecker(())


@_FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(UUID(value)) == value


@_FORMATS.checks("date-time")
def _is_moment(value: object) -> bool:
    whole = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
    return not isinstance(value, str) or bool(re.fullmatch(whole, value))


@cache
def document() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    found: dict[str, Any] = json.loads(json.dumps(generator().get_schema(public=True)))
    return found


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The description of what a request addresses; None if there is none."""
    try:
        route = resolve(path.partition("?")[0]).route
    except Resolver404:
        return None
    template = "/" + re.sub(r"<(?:str|path):(\w+)>", r"{\1}", route)
    found: dict[str, Any] | None = document()["paths"].get(template, {}).get(method.lower())
    return found


def check(method: str, path: str, status: int, content: bytes) -> str | None:
    """Fail unless the answer is as described; return the operation's id if it was a success."""
    operation = operation_of(method, path)
    if operation is None:
        return None
    identity: str = operation["operationId"]
    response = operation["responses"].get(str(status))
    assert response is not None, f"{identity} does not describe {status}: {content[:300]!r}"
    if "$ref" in response:
        response = document()["components"]["responses"][str(status)]
    bodies = response.get("content", {})
    if not bodies:
        assert content == b"", f"{identity} describes no body for {status}"
    for media_type, described in bodies.items():
        if media_type.startswith("text/"):
            continue
        parts = content.splitlines() if media_type == LINES else [content]
        for part in parts if len(content) <= MOST_BYTES else ():
            said = _differences(described["schema"], part)
            assert not said, f"{identity} answers {status} otherwise than described: {said[:5]}"
    return identity if status < 300 else None


def _differences(schema: dict[str, Any], content: bytes) -> list[str]:
    try:
        errors = [*_validator(json.dumps(schema)).iter_errors(json.loads(content))]
    except RecursionError:
        return []  # a document of somebody's in it is deeper than can be parsed here
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


@cache
def _validator(schema: str) -> Any:
    root = {"components": document()["components"], **json.loads(schema)}
    return Draft202012Validator(_strict(root), format_checker=_FORMATS)


def _strict(schema: Any) -> Any:
    """The schema with its objects closed, and with `nullable` as JSON Schema says it."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _strict(inner) for name, inner in schema.items()}
    if found.get("type") == "object" and "additionalProperties" not in found:
        found["additionalProperties"] = False
    if found.pop("nullable", False) is True:
        found = {"anyOf": [found, {"type": "null"}]}
    return found
