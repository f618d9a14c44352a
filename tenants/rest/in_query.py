"""Fields of what is accepted in a query string; each reads itself from it and describes itself.

A function says to be what its field is read as, so that a field of another type is noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import TypeVar
from uuid import UUID

from tenants.rest.accepted import Parameter, read_as
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.params import Query

E = TypeVar("E", bound=Enum)
Value = TypeVar("Value")

TEXT: AnyDict = {"type": "string"}
UUID_TEXT: AnyDict = {"type": "string", "format": "uuid"}
MOMENT: AnyDict = {"type": "string", "format": "date-time"}
PAIR: AnyDict = {"type": "string", "description": "key:value, split at the first colon"}


def _read(read: Callable[[Query], Value], *parameters: Parameter) -> Value:
    return read_as(read, *parameters)


def list_of(schema: AnyDict) -> AnyDict:
    return {"type": "array", "items": schema}


def text(name: str) -> str | None:
    return _read(lambda query: query.text(name), Parameter(name, TEXT))


def required_text(name: str) -> str:
    def read(query: Query) -> str:
        value = query.text(name)
        if value is None:
            raise bad_request(f"{name} is required", field=name)
        return value

    return _read(read, Parameter(name, TEXT, is_required=True))


def texts(name: str) -> list[str]:
    return _read(lambda query: query.texts(name), Parameter(name, list_of(TEXT)))


def flag(name: str, default: bool | None = None) -> bool:
    """Without a default it must be given."""
    schema: AnyDict = {"type": "boolean"}
    if default is not None:
        schema["default"] = default
    parameter = Parameter(name, schema, is_required=default is None)
    return _read(lambda query: query.flag(name, default), parameter)


def whole(name: str, default: int, *, minimum: int, maximum: int = 2**31 - 1) -> int:
    schema = {"type": "integer", "minimum": minimum, "maximum": maximum, "default": default}
    return _read(
        lambda query: query.integer(name, default, minimum=minimum, maximum=maximum),
        Parameter(name, schema),
    )


def optional_whole(name: str, *, minimum: int) -> int | None:
    def read(query: Query) -> int | None:
        return query.integer(name, minimum, minimum=minimum) if query.text(name) else None

    return _read(read, Parameter(name, {"type": "integer", "minimum": minimum}))


def moment(name: str) -> datetime | None:
    return _read(lambda query: query.moment(name), Parameter(name, MOMENT))


def required_moment(name: str) -> datetime:
    parameter = Parameter(name, MOMENT, is_required=True)
    return _read(lambda query: query.required_moment(name), parameter)


def uuid(name: str) -> UUID | None:
    return _read(lambda query: query.uuid(name), Parameter(name, UUID_TEXT))


def required_uuid(name: str) -> UUID:
    def read(query: Query) -> UUID:
        value = query.uuid(name)
        if value is None:
            raise bad_request(f"{name} is required", field=name)
        return value

    return _read(read, Parameter(name, UUID_TEXT, is_required=True))


def uuids(name: str, *, is_required: bool = False) -> list[UUID]:
    """How many are too few or too many the handler says."""
    parameter = Parameter(name, list_of(UUID_TEXT), is_required=is_required)
    return _read(lambda query: query.uuids(name), parameter)


def pairs(name: str) -> list[tuple[str, str]]:
    return _read(lambda query: query.pairs(name), Parameter(name, list_of(PAIR)))


def members(name: str, kind: type[E]) -> list[E]:
    """Members of `kind`, by their names."""
    schema = list_of({"type": "string", "enum": list(kind.__members__)})
    return _read(lambda query: query.members(name, kind), Parameter(name, schema))


def member(name: str, kind: type[E], default: E) -> E:
    """One member of `kind`, by its name."""
    schema: AnyDict = {"type": "string", "enum": list(kind.__members__)}
    parameter = Parameter(name, {**schema, "default": default.name})
    return _read(lambda query: query.member(name, kind, default), parameter)
