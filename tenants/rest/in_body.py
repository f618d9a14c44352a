"""Fields of what is accepted in a JSON object; each reads itself from it and describes itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from tenants.rest.accepted import Parameter, accept, object_schema, read_as
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.in_query import MOMENT, PAIR, UUID_TEXT, list_of
from tenants.rest.params import Body, parse_member, parse_moment, parse_pair, parse_uuid

E = TypeVar("E", bound=Enum)
Value = TypeVar("Value")

OBJECT: AnyDict = {"type": "object", "additionalProperties": True}


def _read(read: Callable[[Body], Value], *parameters: Parameter) -> Value:
    return read_as(read, *parameters)


def text(name: str, *, longest: int = 255) -> str:
    """A text that is not blank."""
    parameter = Parameter(name, _text_schema(longest), is_required=True)
    return _read(lambda body: body.text(name, longest=longest), parameter)


def optional_text(name: str, *, longest: int = 255) -> str | None:
    def read(body: Body) -> str | None:
        return body.text(name, longest=longest) if body.has(name) else None

    return _read(read, Parameter(name, _text_schema(longest)))


def any_text(name: str, *, longest: int) -> str:
    """A text that may be blank."""
    parameter = Parameter(name, {"type": "string", "maxLength": longest}, is_required=True)
    return _read(lambda body: body.any_text(name, longest=longest), parameter)


def _text_schema(longest: int) -> AnyDict:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def optional_flag(name: str) -> bool | None:
    def read(body: Body) -> bool | None:
        return body.flag(name, False) if body.has(name) else None

    return _read(read, Parameter(name, {"type": "boolean"}))


def whole(name: str, *, minimum: int, maximum: int) -> int:
    def read(body: Body) -> int:
        value = body.optional_integer(name, minimum=minimum, maximum=maximum)
        if value is None:
            raise bad_request(f"{name} is required", field=name)
        return value

    return _read(read, Parameter(name, _whole_schema(minimum, maximum), is_required=True))


def optional_whole(name: str, *, minimum: int, maximum: int) -> int | None:
    return _read(
        lambda body: body.optional_integer(name, minimum=minimum, maximum=maximum),
        Parameter(name, _whole_schema(minimum, maximum)),
    )


def _whole_schema(minimum: int, maximum: int) -> AnyDict:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def moment(name: str) -> datetime:
    parameter = Parameter(name, MOMENT, is_required=True)
    return _read(lambda body: parse_moment(body.text(name), name), parameter)


def optional_moment(name: str) -> datetime | None:
    def read(body: Body) -> datetime | None:
        return parse_moment(body.text(name), name) if body.has(name) else None

    return _read(read, Parameter(name, MOMENT))


def uuid(name: str) -> UUID:
    parameter = Parameter(name, UUID_TEXT, is_required=True)
    return _read(lambda body: parse_uuid(body.text(name), name), parameter)


def optional_uuid(name: str) -> UUID | None:
    def read(body: Body) -> UUID | None:
        return parse_uuid(body.text(name), name) if body.has(name) else None

    return _read(read, Parameter(name, UUID_TEXT))


def uuids(name: str) -> tuple[UUID, ...]:
    return _items(name, UUID_TEXT, lambda item: parse_uuid(item, name))


def optional_uuids(name: str, *, most: int) -> tuple[UUID, ...] | None:
    """At least one and no more than `most`, if any are given."""

    def read(body: Body) -> tuple[UUID, ...] | None:
        if not body.has(name):
            return None
        given = body.items(name)
        _check_number(given, name, most)
        return tuple(parse_uuid(item, name) for item in given)

    schema = list_of(UUID_TEXT) | {"minItems": 1, "maxItems": most}
    return _read(read, Parameter(name, schema))


def pairs(name: str) -> tuple[tuple[str, str], ...]:
    return _items(name, PAIR, lambda item: parse_pair(item, name))


def members(name: str, kind: type[E]) -> tuple[E, ...]:
    """Members of `kind`, by their names."""
    schema = {"type": "string", "enum": list(kind.__members__)}
    return _items(name, schema, lambda item: parse_member(kind, item, name))


def parts(name: str, kind: type[Value], *, most: int) -> tuple[Value, ...]:
    """At least one and no more than `most`."""

    def read(body: Body) -> tuple[Value, ...]:
        given = body.items(name)
        _check_number(given, name, most)
        return tuple(accept(kind, Body(item)) for item in given)

    schema = list_of(object_schema(kind)) | {"minItems": 1, "maxItems": most}
    return _read(read, Parameter(name, schema, is_required=True))


def _check_number(given: Sequence[object], name: str, most: int) -> None:
    if not 1 <= len(given) <= most:
        raise bad_request(f"{name} must hold 1 to {most} entries", field=name)


def _items(name: str, schema: AnyDict, read_item: Callable[[Any], Value]) -> tuple[Value, ...]:
    return _read(
        lambda body: tuple(map(read_item, body.items(name))), Parameter(name, list_of(schema))
    )


def document(name: str, *, is_required: bool = False) -> bytes:
    """The text of an object as it came, `{}` if there is none."""
    parameter = Parameter(name, OBJECT, is_required=is_required)
    return _read(lambda body: body.document(name, is_required=is_required), parameter)


def optional_document(name: str) -> bytes | None:
    def read(body: Body) -> bytes | None:
        return body.document(name) if body.has(name) else None

    return _read(read, Parameter(name, OBJECT))


def metadata(name: str) -> bytes | None:
    """Additional metadata as it came."""
    return _read(lambda body: body.metadata(name), Parameter(name, OBJECT))


def optional_part(name: str, kind: type[Value]) -> Value | None:
    def read(body: Body) -> Value | None:
        return accept(kind, body.part(name)) if body.has(name) else None

    return _read(read, Parameter(name, object_schema(kind)))


def required_part(name: str, kind: type[Value]) -> Value:
    parameter = Parameter(name, object_schema(kind), is_required=True)
    return _read(lambda body: accept(kind, body.part(name)), parameter)


def one_of(name: str, tag: str, kinds: Mapping[str, type[Any]]) -> Any:
    """One of `kinds`, whichever the text `tag` inside names."""

    def read(body: Body) -> Any:
        inner = body.part(name)
        kind = kinds.get(inner.text(tag))
        if kind is None:
            raise bad_request(f"{name}.{tag} must be {' or '.join(kinds)}")
        return accept(kind, inner)

    schemas = [_tagged(object_schema(kind), tag, value) for value, kind in kinds.items()]
    return _read(read, Parameter(name, {"oneOf": schemas}, is_required=True))


def _tagged(schema: AnyDict, tag: str, value: str) -> AnyDict:
    return schema | {
        "properties": {tag: {"type": "string", "enum": [value]}, **schema["properties"]},
        "required": [tag, *schema.get("required", ())],
    }


def choice(name: str, options: Mapping[str, Any], *, is_required: bool) -> Any:
    """What `options` hold for the text, None if it may be missing and is."""

    def read(body: Body) -> Any:
        if not is_required and not body.has(name):
            return None
        value = body.text(name)
        if value not in options:
            raise bad_request(f"{name} must be one of {', '.join(options)}", field=name)
        return options[value]

    schema = {"type": "string", "enum": list(options)}
    return _read(read, Parameter(name, schema, is_required=is_required))


def only(name: str, value: bool | str, why: str) -> Any:
    """Nothing to be had: whoever names it must say `value`, which it is already."""

    def read(body: Body) -> None:
        if not body.has(name):
            return
        wanted = body.text(name) if isinstance(value, str) else body.flag(name, False)
        if wanted != value:
            raise bad_request(f"{name} cannot be {wanted}: {why}", field=name)

    kind = "string" if isinstance(value, str) else "boolean"
    return _read(read, Parameter(name, {"type": kind, "enum": [value]}))


def never(name: str, why: str) -> Any:
    """Nothing, and whoever names it is told why; it is not described."""

    def read(body: Body) -> None:
        if body.has(name):
            raise bad_request(why, field=name)

    return _read(read)
