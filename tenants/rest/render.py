"""JSON in and out: strict on what comes in, RFC 3339 with fraction and Z on what goes out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any, TypedDict
from uuid import UUID

import orjson
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from tenants.installation import installation
from tenants.json_text import JsonRefused, read_json
from tenants.rest.errors import ApiError, bad_request
from tenants.rest.params import JsonBody


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


class APIResourceMeta(TypedDict):
    id: UUID
    createdAt: datetime
    updatedAt: datetime


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
    """Parses a body of bounded size and keeps its text, so that documents in it stay as they came."""

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
        try:
            value = read_json(body, levels_around=1)
        except JsonRefused as error:
            raise bad_request(f"the body {error}") from error
        return JsonBody(value, body) if isinstance(value, dict) else value
