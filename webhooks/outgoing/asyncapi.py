"""The AsyncAPI document of the messages: docs/asyncapi.yaml, which is made from the table of kinds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from webhooks.outgoing.kinds import KINDS, TEST, Kind

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.yaml"
_HEADERS: Mapping[str, Any] = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The same at each attempt."},
        "webhook-timestamp": {"type": "string", "description": "When this attempt was made."},
        "webhook-signature": {
            "type": "string",
            "description": "One or more of v1,<base64>, separated by blanks.",
        },
    },
}


@cache
def document() -> bytes:
    return DOCUMENT.read_bytes()


def described() -> dict[str, Any]:
    """Return what the document says."""
    kinds = [*KINDS.values(), TEST]
    names = {kind.name: kind.name.replace(".", "_") for kind in kinds}
    references = {
        name: {"$ref": f"#/components/messages/{name}"} for name in sorted(names.values())
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hatchet on Django: outgoing webhooks",
            "version": "1.0.0",
            "description": "Signed by Standard Webhooks 1.0.0, at least once, in order for each run.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "endpoint": {
                "address": None,
                "description": "The URL of an endpoint of yours.",
                "messages": references,
            }
        },
        "operations": {
            "send": {"action": "send", "channel": {"$ref": "#/channels/endpoint"}},
        },
        "components": {
            "messages": {names[kind.name]: _message_of(kind) for kind in kinds},
        },
    }


def written() -> str:
    """Return the document's text. YAML holds all of JSON, so that no writer of YAML is needed."""
    text = orjson.dumps(described(), option=orjson.OPT_INDENT_2).decode()
    return f"# Made by `manage.py asyncapi`.\n{text}\n"


def _message_of(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.name,
        "summary": kind.summary,
        "headers": _HEADERS,
        "payload": {
            "type": "object",
            "required": ["type", "timestamp", "data"],
            "properties": {
                "type": {"const": kind.name},
                "timestamp": {"type": "string", "format": "date-time"},
                "data": {
                    "type": "object",
                    "required": list(kind.required),
                    "properties": dict(kind.properties),
                },
            },
        },
    }
