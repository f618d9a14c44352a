"""From the body that was sent to the payload of the event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from tenants.installation import installation
from tenants.json_text import JsonRefused, members, object_of, read_json
from webhooks.arrived import Arrived, Refused, malformed
from webhooks.models import Verdict
from webhooks.source import Source

_MOST_FIELDS = 1_000
_DROPPED = ("tenant", "v1-webhook")
"""The names of the path's parts: the contract keeps them out of payloads."""


class Payload(NamedTuple):
    """The JSON object text that an event carries, and its value, numbers as near as doubles come."""

    text: bytes
    value: Mapping[str, Any]


def payload_of(arrived: Arrived, source: Source, static: bytes | None) -> Payload:
    """Return what the event carries. Refused: the body holds no JSON object."""
    text = _from_form(arrived, source) if arrived.is_form else arrived.body
    try:
        value = read_json(text)
    except JsonRefused as error:
        raise malformed(f"the body {error}") from error
    if not isinstance(value, dict):
        raise malformed("the body must be a JSON object")
    if static is not None or any(name in value for name in _DROPPED):
        parts = members(text)
        for name in _DROPPED:
            parts.pop(name, None)
            value.pop(name, None)
        text = object_of(parts | members(static))
        value |= orjson.loads(static or b"{}")
    most = installation().grpc_max_message_bytes
    if len(text) > most:
        raise Refused(413, Verdict.TOO_LARGE, f"the payload has more than {most} bytes")
    return Payload(text.strip(), value)


def _from_form(arrived: Arrived, source: Source) -> bytes:
    if source.read_form is None:
        raise malformed(f"{source.title} is to send JSON here: choose application/json there")
    try:
        pairs = parse_qsl(
            arrived.body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except UnicodeDecodeError:
        raise malformed("the form is not UTF-8") from None
    except ValueError:
        raise malformed(f"the form has more than {_MOST_FIELDS} fields") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    text = source.read_form(fields)
    return text.encode() if isinstance(text, str) else text
