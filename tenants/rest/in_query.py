"""Fields of what is accepted in a query string; each reads itself from it and describes itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from tenants.rest.accepted import Parameter, read_as
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.params import Query

TEXT: AnyDict = {"type": "string"}
UUID_TEXT: AnyDict = {"type": "string", "format": "uuid"}
MOMENT: AnyDict = {"type": "string", "format": "date-time"}
PAIR: AnyDict = {"type": "string", "description": "key:value, split at the first colon"}


def list_of(schema: AnyDict) -> AnyDict:
    return {"type": "array", "items": schema}


def text(name: str) -> Any:
    """str | None"""
    return read_as(lambda query: query.text(name), Parameter(name, TEXT))


def required_text(name: str) -> Any:
    """str"""

    def read(query: Query) -> str:
        value = query.text(name)
        if value is None:
            raise bad_request(f"{name} is required", field=name)
        return value

    return read_as(read, Parameter(name, TEXT, is_required=True))


def texts(name: str) -> Any:
    """list[str]"""
    return read_as(lambda query: query.texts(name), Parameter(name, list_of(TEXT)))


def flag(name: str, default: bool | None = None) -> Any:
    """bool; without a default it must be given."""
    schema: AnyDict = {"type": "boolean"}
    if default is not None:
        schema["default"] = default
    parameter = Parameter(name, schema, is_required=default is None)
    return read_as(lambda query: query.flag(name, default), parameter)


def whole(name: str, default: int, *, minimum: int, maximum: int = 2**31 - 1) -> Any:
    """int"""
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum, "default": default}
    return read_as(
        lambda query: query.integer(name, default, minimum=minimum, maximum=maximum),
        Parameter(name, schema),
    )


def optional_whole(name: str, *, minimum: int) -> Any:
    """int | None"""

    def read(query: Query) -> int | None:
        return query.integer(name, minimum, minimum=minimum) if query.text(name) else None

    return read_as(read, Parameter(name, {"type": "integer", "minimum": minimum}))


def moment(name: str) -> Any:
    """datetime | None"""
    return read_as(lambda query: query.moment(name), Parameter(name, MOMENT))


def required_moment(name: str) -> Any:
    """datetime"""
    parameter = Parameter(name, MOMENT, is_required=True)
    return read_as(lambda query: query.required_moment(name), parameter)


def uuid(name: str) -> Any:
    """UUID | None"""
    return read_as(lambda query: query.uuid(name), Parameter(name, UUID_TEXT))


def required_uuid(name: str) -> Any:
    """UUID"""

    def read(query: Query) -> Any:
        value = query.uuid(name)
        if value is None:
            raise bad_request(f"{name} is required", field=name)
        return value

    return read_as(read, Parameter(name, UUID_TEXT, is_required=True))


def uuids(name: str, *, is_required: bool = False) -> Any:
    """list[UUID]; how many are too few or too many the handler says."""
    parameter = Parameter(name, list_of(UUID_TEXT), is_required=is_required)
    return read_as(lambda query: query.uuids(name), parameter)


def pairs(name: str) -> Any:
    """list[tuple[str, str]]"""
    return read_as(lambda query: query.pairs(name), Parameter(name, list_of(PAIR)))


def members(name: str, kind: type[Enum]) -> Any:
    """list of members of `kind`, by their names"""
    schema = list_of({"type": "string", "enum": list(kind.__members__)})
    return read_as(lambda query: query.members(name, kind), Parameter(name, schema))


def member(name: str, kind: type[Enum], default: Enum) -> Any:
    """One member of `kind`, by its name."""
    schema: Mapping[str, Any] = {"type": "string", "enum": list(kind.__members__)}
    parameter = Parameter(name, {**schema, "default": default.name})
    return read_as(lambda query: query.member(name, kind, default), parameter)
