"""JSON schemas of answers, from the types that say what they are made of.

An object is a TypedDict and becomes a component under its own name; an enumeration is shown by the names
of its members, a time and a UUID as texts.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from datetime import datetime
from enum import Enum, StrEnum
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

from tenants.rest.errors import AnyDict

Json = dict[str, Any]
"""An object of somebody else's: its content is not ours to describe."""

_PLAIN: dict[Any, AnyDict] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    UUID: {"type": "string", "format": "uuid"},
    datetime: {"type": "string", "format": "date-time"},
    Any: {},
}


def schema_of(kind: Any) -> AnyDict:
    """Return the schema of a type; TypedDicts are referred to by name."""
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if is_typeddict(kind):
        return {"$ref": f"#/components/schemas/{kind.__name__}"}
    if isinstance(kind, type) and issubclass(kind, Enum):
        shown = [each.value if issubclass(kind, StrEnum) else each.name for each in kind]
        return {"type": "string", "enum": shown}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    if origin in (Union, types.UnionType):
        return _union([each for each in arguments if each is not type(None)], arguments)
    raise TypeError(f"no schema for {kind}")


def _union(kinds: list[Any], every: tuple[Any, ...]) -> AnyDict:
    schemas = [schema_of(each) for each in kinds]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return schema | {"nullable": True} if len(kinds) < len(every) else schema


def components_of(kind: Any) -> dict[str, AnyDict]:
    """Return the schemas of all TypedDicts that an answer holds, by name."""
    found: dict[str, AnyDict] = {}
    waiting = list(_models_in(kind))
    while waiting:
        model = waiting.pop()
        if model.__name__ in found:
            continue
        hints = get_type_hints(model, include_extras=True)
        found[model.__name__] = _object_schema(hints) | _said_of(model)
        waiting.extend(inner for hint in hints.values() for inner in _models_in(hint))
    return found


def _object_schema(hints: dict[str, Any]) -> AnyDict:
    required = [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]
    schema: AnyDict = {
        "type": "object",
        "properties": {name: schema_of(_bare(hint)) for name, hint in hints.items()},
    }
    return schema | ({"required": required} if required else {})


def _said_of(model: Any) -> AnyDict:
    return {"description": model.__doc__} if model.__doc__ else {}


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (NotRequired, Required) else hint


def _models_in(kind: Any) -> Iterator[Any]:
    if is_typeddict(kind):
        yield kind
    for argument in get_args(kind):
        yield from _models_in(argument)
