"""Query parameters and bodies, read strictly: what is wrong is named, nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from django.http import QueryDict

from tenants.json_text import JsonRefused, members, read_metadata, read_object
from tenants.rest.errors import bad_request

E = TypeVar("E", bound=Enum)
T = TypeVar("T")

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BLANK_ZONE = re.compile(r" (\d{2}:?\d{2})$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def parse_uuid(text: object, field: str) -> UUID:
    if not isinstance(text, str) or not is_uuid(text):
        raise bad_request(f"{field} is not a UUID", field=field)
    return UUID(text)


def parse_moment(text: object, field: str) -> datetime:
    """Parse an RFC 3339 time; without a zone it is UTC, and a `+` that arrived as a blank is meant."""
    if not isinstance(text, str):
        raise bad_request(f"{field} is not a time", field=field)
    try:
        moment = datetime.fromisoformat(_BLANK_ZONE.sub(r"+\1", text))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(moment.astimezone(UTC), _EPOCH)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{field} is not a time", field=field) from error


def parse_pair(text: object, field: str) -> tuple[str, str]:
    """Split `key:value` at the first colon; the value may hold more of them."""
    if not isinstance(text, str) or ":" not in text:
        raise bad_request(f"{field} must look like key:value", field=field)
    key, value = text.split(":", 1)
    return key, value


def parse_member(kind: type[E], text: object, field: str) -> E:
    if isinstance(text, str) and text in kind.__members__:
        return kind[text]
    raise bad_request(f"{field} must be one of {', '.join(kind.__members__)}", field=field)


class Query:
    """The query string of a request. Repeated keys are lists; commas are never split."""

    def __init__(self, params: QueryDict) -> None:
        self._params = params
        for key, values in params.lists():
            if any("\x00" in value for value in values):
                raise bad_request(f"{key} contains a NUL character", field=key)

    def text(self, name: str) -> str | None:
        return self._params.get(name) or None

    def texts(self, name: str) -> list[str]:
        return [value for value in self._params.getlist(name) if value]

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Read `true` or `false`; no default means the parameter is required."""
        text = self.text(name)
        if text is None:
            if default is None:
                raise bad_request(f"{name} is required", field=name)
            return default
        if text not in ("true", "false"):
            raise bad_request(f"{name} must be true or false", field=name)
        return text == "true"

    def integer(self, name: str, default: int, *, minimum: int, maximum: int = 2**31 - 1) -> int:
        text = self.text(name)
        if text is None:
            return default
        try:
            number = int(text) if text.isascii() else minimum - 1
        except ValueError:
            number = minimum - 1
        if not minimum <= number <= maximum:
            raise bad_request(
                f"{name} must be a whole number from {minimum} to {maximum}", field=name
            )
        return number

    def moment(self, name: str) -> datetime | None:
        text = self.text(name)
        return None if text is None else parse_moment(text, name)

    def required_moment(self, name: str) -> datetime:
        moment = self.moment(name)
        if moment is None:
            raise bad_request(f"{name} is required", field=name)
        return moment

    def uuid(self, name: str) -> UUID | None:
        text = self.text(name)
        return None if text is None else parse_uuid(text, name)

    def uuids(self, name: str) -> list[UUID]:
        return [parse_uuid(text, name) for text in self.texts(name)]

    def pairs(self, name: str) -> list[tuple[str, str]]:
        return [parse_pair(text, name) for text in self.texts(name)]

    def members(self, name: str, kind: type[E]) -> list[E]:
        return [parse_member(kind, text, name) for text in self.texts(name)]

    def member(self, name: str, kind: type[E], default: E) -> E:
        text = self.text(name)
        return default if text is None else parse_member(kind, text, name)


class JsonBody(dict[str, Any]):
    """The values of an object, and their texts."""

    def __init__(self, values: Mapping[str, Any], text: bytes) -> None:
        super().__init__(values)
        self._text = text

    @cached_property
    def texts(self) -> Mapping[str, str]:
        return members(self._text)


class Body:
    """A JSON object sent by the caller. Unknown keys are ignored, known ones must have their type.

    `place` stands before the names of what is missing in an object inside another: `filter.`
    """

    def __init__(self, data: object, place: str = "") -> None:
        if not isinstance(data, Mapping):
            raise bad_request("the body must be a JSON object")
        self._data: Mapping[str, Any] = data
        self._place = place

    def has(self, name: str) -> bool:
        return self._data.get(name) is not None

    def text(self, name: str, *, longest: int = 255) -> str:
        value = self._required(name)
        if not isinstance(value, str) or not value.strip() or len(value) > longest:
            raise bad_request(f"{name} must be a text of 1 to {longest} characters", field=name)
        return value

    def any_text(self, name: str, *, longest: int) -> str:
        """A text that may be blank."""
        value = self._data.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise bad_request(f"{name} must be a text of up to {longest} characters", field=name)
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._data.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise bad_request(f"{name} must be true or false", field=name)
        return value

    def optional_integer(self, name: str, *, minimum: int, maximum: int) -> int | None:
        value = self._data.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise bad_request(f"{name} must be {minimum} to {maximum}", field=name)
        return value

    def part(self, name: str) -> Body:
        """The object inside this one."""
        value = self._required(name)
        if not isinstance(value, dict):
            raise bad_request(f"{name} must be a JSON object", field=name)
        return Body(value, f"{name}.")

    def document(self, name: str, *, is_required: bool = False) -> bytes:
        """The text of a JSON object as it came; `{}` where nothing need be given and nothing is."""
        if is_required:
            self._required(name)
        return self._judged(name, read_object)

    def metadata(self, name: str) -> bytes | None:
        return self._judged(name, read_metadata)

    def _judged(self, name: str, read: Callable[[str], T]) -> T:
        # Only what a parser read has texts; a request without a body has nothing else either.
        assert isinstance(self._data, JsonBody) or not self._data
        texts = self._data.texts if isinstance(self._data, JsonBody) else {}
        try:
            return read(texts.get(name, ""))
        except JsonRefused as error:
            raise bad_request(f"{name} {error}", field=name) from error

    def items(self, name: str) -> list[Any]:
        value = self._data.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise bad_request(f"{name} must be a list", field=name)
        return value

    def _required(self, name: str) -> Any:
        value = self._data.get(name)
        if value is None:
            raise bad_request(f"{self._place}{name} is required", field=name)
        return value
