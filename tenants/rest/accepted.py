"""What an endpoint accepts, stated once: a frozen dataclass whose fields read and describe themselves.

Its fields are made by `in_query` or `in_body`, and a handler gets the whole as its second argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, Concatenate, Literal, Protocol, TypeVar

from django.http import HttpResponseBase
from rest_framework.request import Request

from tenants.rest.errors import AnyDict
from tenants.rest.params import Body, Query

Given = TypeVar("Given")
Value = TypeVar("Value")

_READING = "reading"
_TAKES = "takes"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One name on the wire; `schema` is the JSON schema of its value."""

    name: str
    schema: AnyDict
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """How one field is read, and the parameters that are read for it."""

    parameters: Sequence[Parameter]
    read: Callable[[Any], Any]


def read_as(read: Callable[[Any], Value], *parameters: Parameter) -> Value:
    """Return a dataclass field that is read so; to who checks types it is what is read."""
    made: Value = field(metadata={_READING: Reading(parameters, read)})
    return made


def part(kind: type[Given]) -> Given:
    """Return a field for what another such dataclass accepts from the same place."""
    return read_as(lambda source: accept(kind, source), *parameters_of(kind))


def parameters_of(kind: type[Any]) -> list[Parameter]:
    return [one for _, reading in _readings(kind) for one in reading.parameters]


def accept(kind: type[Given], source: Query | Body) -> Given:
    """Read `kind`; a 400 names the first thing that is wrong."""
    return kind(**{name: reading.read(source) for name, reading in _readings(kind)})


def _readings(kind: type[Any]) -> list[tuple[str, Reading]]:
    return [(each.name, each.metadata[_READING]) for each in fields(kind)]


def object_schema(kind: type[Any]) -> AnyDict:
    """The JSON schema of an object that `kind` is read from."""
    parameters = parameters_of(kind)
    required = [one.name for one in parameters if one.is_required]
    schema: AnyDict = {
        "type": "object",
        "properties": {one.name: one.schema for one in parameters},
    }
    return schema | ({"required": required} if required else {})


class _View(Protocol):
    @property
    def query(self) -> Query: ...

    @property
    def body(self) -> Body: ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What a handler takes, and from where."""

    place: Literal["query", "body"]
    kind: type[Any]


Asked = TypeVar("Asked", bound=_View)
Handler = Callable[Concatenate[Asked, Request, ...], HttpResponseBase]
Takes = Callable[Concatenate[Asked, Request, Given, ...], HttpResponseBase]


def takes_query(kind: type[Given]) -> Callable[[Takes[Asked, Given]], Handler[Asked]]:
    """Give the handler what the query string says."""
    return _takes(Taken("query", kind))


def takes_body(kind: type[Given]) -> Callable[[Takes[Asked, Given]], Handler[Asked]]:
    """Give the handler what the JSON object of the request says."""
    return _takes(Taken("body", kind))


def _takes(taken: Taken) -> Callable[[Takes[Asked, Any]], Handler[Asked]]:
    def decorate(handler: Takes[Asked, Any]) -> Handler[Asked]:
        @wraps(handler)
        def handle(view: Asked, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            source = view.query if taken.place == "query" else view.body
            return handler(view, request, accept(taken.kind, source), *args, **kwargs)

        vars(handle)[_TAKES] = taken
        return handle

    return decorate


def taken_by(handler: object) -> Taken | None:
    """What a handler takes, as `takes_query` or `takes_body` have noted it."""
    return getattr(handler, _TAKES, None)
