"""Parts of requests, checked: what leaves this module may be stored and trusted.

Every function names the field it refuses, so a client can tell what to mend.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sized
from datetime import UTC, datetime
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from engine.errors import InvalidArgument
from engine.pb import dispatcher_pb2
from tenants.json_text import (
    JsonRefused,
    TooDeep,
    has_escaped_nul,
    read_json,
    read_metadata,
    read_object,
)

# Names and keys end up in indexes, whose entries are bounded.
MAX_NAME_LENGTH = 255
MAX_KEY_LENGTH = 1_000
MAX_LABELS = 1_000

_NAME = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)
_UUID_LENGTH = 36


def parse_uuid(text: str, field: str) -> UUID:
    try:
        if len(text) == _UUID_LENGTH:
            return UUID(text)
    except ValueError:
        pass
    raise InvalidArgument(f'{field}: "{text[:100]}" is not a UUID')


def parse_optional_uuid(text: str, field: str) -> UUID | None:
    """Clients send `""` for "none"."""
    return parse_uuid(text, field) if text else None


def parse_name(text: str, field: str) -> str:
    if not text:
        raise InvalidArgument(f"{field} is required")
    if len(text) > MAX_NAME_LENGTH:
        raise InvalidArgument(f"{field} is longer than {MAX_NAME_LENGTH} characters")
    if not _NAME.fullmatch(text):
        raise InvalidArgument(
            f'{field}: "{text}" may hold only letters, digits, dots, dashes and underscores'
        )
    return text


def parse_text(text: str, field: str, limit: int = MAX_KEY_LENGTH) -> str:
    """Any text without the NUL character, which Postgres cannot store."""
    if len(text) > limit:
        raise InvalidArgument(f"{field} is longer than {limit} characters")
    if "\0" in text:
        raise InvalidArgument(f"{field} contains a null character")
    return text


def parse_key(text: str, field: str) -> str:
    if not text.strip():
        raise InvalidArgument(f"{field} is required")
    return parse_text(text, field)


def parse_action(text: str, field: str) -> str:
    """Return the action in lower case, as definitions and registrations must both spell it."""
    parts = parse_text(text, field).split(":")
    if len(parts) not in (2, 3) or not (parts[0] and parts[1]):
        raise InvalidArgument(f'{field}: "{text}" is not of the form workflow:task')
    return text.lower()


def parse_priority(value: int, field: str = "priority") -> int:
    if not 1 <= value <= 3:
        raise InvalidArgument(f"{field} must be 1, 2 or 3, not {value}")
    return value


def parse_json_object(raw: str | bytes, field: str) -> bytes:
    """Return the text as it came, `{}` for a blank one or `null`, once it is known to be a JSON object."""
    try:
        return read_object(raw)
    except JsonRefused as error:
        raise InvalidArgument(f"{field} {error}") from error


def parse_metadata(raw: str | bytes, field: str = "additional_metadata") -> bytes | None:
    """Return None for absent metadata."""
    try:
        return read_metadata(raw)
    except JsonRefused as error:
        raise InvalidArgument(f"{field} {error}") from error


def parse_output(text: str) -> bytes:
    """Return a task's output, empty for none. ValueError's text becomes the task's error.

    Blanks around it go, so that its first byte tells an object from anything else.
    """
    encoded = text.encode().strip()
    if encoded in (b"", b"null"):
        return b""
    try:
        read_json(encoded)
    except TooDeep as error:
        raise ValueError(f"field `taskOutput` {error}") from error
    except JsonRefused as error:
        if has_escaped_nul(encoded):
            raise ValueError("null character (\\u0000) in field `taskOutput`") from error
        raise ValueError("invalid json in field `taskOutput`") from error
    return encoded


def parse_labels(
    labels: Mapping[str, dispatcher_pb2.WorkerLabels], field: str = "labels"
) -> dict[str, str | int]:
    check_count(labels, MAX_LABELS, field)
    parsed: dict[str, str | int] = {}
    for key, label in labels.items():
        has_text, has_number = label.HasField("str_value"), label.HasField("int_value")
        if has_text == has_number:
            raise InvalidArgument(f'{field}: "{key}" needs either a string or an integer value')
        name = parse_key(key, f"{field} key")
        parsed[name] = (
            parse_text(label.str_value, f'{field} "{key}"') if has_text else label.int_value
        )
    return parsed


def parse_moment(stamp: Timestamp, field: str) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(f"{field} is not a time we can represent") from error


def check_count(listed: Sized, most: int, field: str) -> None:
    """Refuse a list that nobody could have meant: each of its items costs something, again and again."""
    if len(listed) > most:
        raise InvalidArgument(f"{field}: at most {most} are allowed, not {len(listed)}")


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Drop repeats, keep the order."""
    return tuple(dict.fromkeys(values))


def parse_clock(stamp: Timestamp) -> datetime | None:
    """Return what a worker's clock says, however wrong; None if that is no date at all, or is not said."""
    if not stamp.seconds:
        return None
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
