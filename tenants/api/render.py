"""JSON in and out: strict on what comes in, RFC 3339 with fraction and Z on what goes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any
from uuid import UUID

import orjson
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from tenants.api.errors import ApiError, bad_request
from tenants.installation import installation


class JsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data)


def timestamp(moment: datetime | None) -> str | None:
    """Always with six digits of fraction, so that texts compare as times do."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def metadata(
    identity: UUID, created_at: datetime, updated_at: datetime | None = None
) -> dict[str, Any]:
    """The block every resource carries."""
    return {
        "id": str(identity),
        "createdAt": timestamp(created_at),
        "updatedAt": timestamp(updated_at or created_at),
    }


class JsonParser(BaseParser):
    """Parses a body of bounded size; numbers keep every digit."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        most = installation().grpc_max_message_bytes
        body = stream.read(most + 1)
        if len(body) > most:
            raise ApiError(413, f"the body is too large: at most {most} bytes")
        return strict_json(body)


def strict_json(body: bytes) -> Any:
    """Parse JSON and refuse what could not be stored: NUL, half surrogates, NaN, endless depth."""
    try:
        text = body.decode()
        value = json.loads(text, parse_constant=_refuse_constant)
        # The encoder finds half surrogates and numbers too large for a float.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise bad_request("the body is not valid JSON") from error
    if "\\u0000" in text and _holds_nul(value):
        raise bad_request("text may not contain a NUL character")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _holds_nul(value: Any) -> bool:
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, str):
            if "\x00" in current:
                return True
        elif isinstance(current, list):
            pending.extend(current)
        elif isinstance(current, dict):
            pending.extend(current)
            pending.extend(current.values())
    return False
