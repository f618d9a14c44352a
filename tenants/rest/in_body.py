"""Fields of what is accepted in a JSON object; each reads itself from it and describes itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any
from uuid import UUID

from tenants.rest.accepted import Parameter, accept, object_schema, read_as
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.in_query import MOMENT, PAIR, UUID_TEXT, list_of
from tenants.rest.params import Body, parse_member, parse_moment, parse_pair, parse_uuid

OBJECT: AnyDict = {"type": "object", "additionalProperties": True}


def text(name: str, *, longest: int = 255) -> Any:
    """str, not blank"""
    parameter = Parameter(name, _text_schema(longest), is_required=True)
    return read_as(lambda body: body.text(name, longest=longest), parameter)


def optional_text(name: str, *, longest: int = 255) -> Any:
    """str | None"""

    def read(body: Body) -> str | None:
        return body.text(name, longest=longest) if body.has(name) else None

    return read_as(read, Parameter(name, _text_schema(longest)))


def any_text(name: str, *, longest: int) -> Any:
    """str, which may be blank"""
    parameter = Parameter(name, {"type": "string", "maxLength": longest}, is_required=True)
    return read_as(lambda body: body.any_text(name, longest=longest), parameter)


def _text_schema(longest: int) -> AnyDict:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def optional_flag(name: str) -> Any:
    """bool | None"""

    def read(body: Body) -> bool | None:
        return body.flag(name, False) if body.has(name) else None

    return read_as(read, Parameter(name, {"type": "boolean"}))


def whole(name: str, *, minimum: int, maximum: int) -> Any:
    """int"""

    def read(body: Body) -> int:
        value = body.optional_integer(name, minimum=minimum, maximum=maximum)
        if value is None:
            raise bad_request(f"{name} is required", field=name)
        return value

    return read_as(read, Parameter(name, _whole_schema(minimum, maximum), is_required=True))


def optional_whole(name: str, *, minimum: int, maximum: int) -> Any:
    """int | None"""
    return read_as(
        lambda body: body.optional_integer(name, minimum=minimum, maximum=maximum),
        Parameter(name, _whole_schema(minimum, maximum)),
    )


def _whole_schema(minimum: int, maximum: int) -> AnyDict:
    return {"type": "integer", "minimum": minimum, "maximum": maximum}


def moment(name: str) -> Any:
    """datetime"""
    parameter = Parameter(name, MOMENT, is_required=True)
    return read_as(lambda body: parse_moment(body.text(name), name), parameter)


def optional_moment(name: str) -> Any:
    """datetime | None"""

    def read(body: Body) -> Any:
        return parse_moment(body.text(name), name) if body.has(name) else None

    return read_as(read, Parameter(name, MOMENT))


def uuid(name: str) -> Any:
    """UUID"""
    parameter = Parameter(name, UUID_TEXT, is_required=True)
    return read_as(lambda body: parse_uuid(body.text(name), name), parameter)


def optional_uuid(name: str) -> Any:
    """UUID | None"""

    def read(body: Body) -> Any:
        return parse_uuid(body.text(name), name) if body.has(name) else None

    return read_as(read, Parameter(name, UUID_TEXT))


def uuids(name: str) -> Any:
    """tuple[UUID, ...]"""
    return _items(name, UUID_TEXT, lambda item: parse_uuid(item, name))


def optional_uuids(name: str, *, most: int) -> Any:
    """tuple[UUID, ...], at least one and no more than `most`; or None"""

    def read(body: Body) -> tuple[UUID, ...] | None:
        if not body.has(name):
            return None
        given = body.items(name)
        _check_number(given, name, most)
        return tuple(parse_uuid(item, name) for item in given)

    schema = list_of(UUID_TEXT) | {"minItems": 1, "maxItems": most}
    return read_as(read, Parameter(name, schema))


def pairs(name: str) -> Any:
    """tuple[tuple[str, str], ...]"""
    return _items(name, PAIR, lambda item: parse_pair(item, name))


def members(name: str, kind: type[Enum]) -> Any:
    """tuple of members of `kind`, by their names"""
    schema = {"type": "string", "enum": list(kind.__members__)}
    return _items(name, schema, lambda item: parse_member(kind, item, name))


def parts(name: str, kind: type[Any], *, most: int) -> Any:
    """tuple of `kind`, at least one and no more than `most`"""

    def read(body: Body) -> tuple[Any, ...]:
        given = body.items(name)
        _check_number(given, name, most)
        return tuple(accept(kind, Body(item)) for item in given)

    schema = list_of(object_schema(kind)) | {"minItems": 1, "maxItems": most}
    return read_as(read, Parameter(name, schema, is_required=True))


def _check_number(given: Sequence[object], name: str, most: int) -> None:
    if not 1 <= len(given) <= most:
        raise bad_request(f"{name} must hold 1 to {most} entries", field=name)


def _items(name: str, schema: AnyDict, read_item: Callable[[Any], Any]) -> Any:
    return read_as(
        lambda body: tuple(map(read_item, body.items(name))), Parameter(name, list_of(schema))
    )


def document(name: str, *, is_required: bool = False) -> Any:
    """bytes: the object as it came, `{}` if there is none"""
    parameter = Parameter(name, OBJECT, is_required=is_required)
    return read_as(lambda body: body.document(name, is_required=is_required), parameter)


def optional_document(name: str) -> Any:
    """bytes | None"""

    def read(body: Body) -> bytes | None:
        return body.document(name) if body.has(name) else None

    return read_as(read, Parameter(name, OBJECT))


def metadata(name: str) -> Any:
    """bytes | None: additional metadata as it came"""
    return read_as(lambda body: body.metadata(name), Parameter(name, OBJECT))


def optional_part(name: str, kind: type[Any]) -> Any:
    """`kind` or None"""

    def read(body: Body) -> Any:
        return accept(kind, body.part(name)) if body.has(name) else None

    return read_as(read, Parameter(name, object_schema(kind)))


def one_of(name: str, tag: str, kinds: Mapping[str, type[Any]]) -> Any:
    """One of `kinds`, whichever the text `tag` inside names."""

    def read(body: Body) -> Any:
        inner = body.part(name)
        kind = kinds.get(inner.text(tag))
        if kind is None:
            raise bad_request(f"{name}.{tag} must be {' or '.join(kinds)}")
        return accept(kind, inner)

    schemas = [_tagged(object_schema(kind), tag, value) for value, kind in kinds.items()]
    return read_as(read, Parameter(name, {"oneOf": schemas}, is_required=True))


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
    return read_as(read, Parameter(name, schema, is_required=is_required))


def only(name: str, value: bool | str, why: str) -> Any:
    """Nothing to be had: whoever names it must say `value`, which it is already."""

    def read(body: Body) -> None:
        if not body.has(name):
            return
        wanted = body.text(name) if isinstance(value, str) else body.flag(name, False)
        if wanted != value:
            raise bad_request(f"{name} cannot be {wanted}: {why}", field=name)

    kind = "string" if isinstance(value, str) else "boolean"
    return read_as(read, Parameter(name, {"type": kind, "enum": [value]}))


def never(name: str, why: str) -> Any:
    """Nothing, and whoever names it is told why; it is not described."""

    def read(body: Body) -> None:
        if body.has(name):
            raise bad_request(why, field=name)

    return read_as(read)
