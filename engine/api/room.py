"""How much of what clients store an answer can carry: its size has a bound, its rows are all there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from engine.models.wide_columns import Wide
from tenants.installation import installation
from tenants.rest.errors import AnyDict

JsonObject = AnyDict | orjson.Fragment

OMITTED_BYTES = "hatchet__omitted_bytes"
MOST_CHILDREN = 5_000
_MESSAGES = 8
"""One run of the largest size appears twice in its details, with input, output and metadata."""


class Room:
    """The bytes an answer may still spend on payloads, metadata, errors and other long texts.

    A value for which there is none left is replaced by one that tells its length: an object by
    `{"hatchet__omitted_bytes": length}`, a text by a sentence. It is whole where it is asked for alone.
    `children` is how many tasks the runs of a list may still have among them.
    """

    def __init__(self) -> None:
        self.left = _MESSAGES * installation().grpc_max_message_bytes
        self.children = MOST_CHILDREN

    def json(self, value: Wide | None) -> JsonObject:
        """Return stored JSON as an object; anything else a worker may have sent is put under `value`."""
        if value is None:
            return {}
        data = self._take(value)
        return {OMITTED_BYTES: value.length} if data is None else json_object(data)

    def text(self, value: Wide | None) -> str | None:
        if value is None:
            return None
        data = self._take(value)
        return omitted_text(value.length) if data is None else data.decode(errors="replace")

    def list(self, value: Wide | None) -> Any:
        """Return a stored JSON list as it is, None if there is none or no room for it."""
        data = None if value is None else self._take(value)
        return None if data is None else orjson.Fragment(data)

    def parsed(self, value: Wide | None) -> AnyDict:
        """Return a stored JSON object for reshaping, empty if there is none or no room for it."""
        data = None if value is None else self._take(value)
        return {} if data is None else orjson.loads(data)

    def _take(self, value: Wide) -> bytes | None:
        if value.data is None or value.length > self.left:
            return None
        self.left -= value.length
        return value.data


def omitted_text(length: int) -> str:
    return f"[{length} bytes were left out of this list]"


def json_object(data: bytes | None) -> JsonObject:
    """Return stored JSON as an object; anything else a worker may have sent is put under `value`."""
    text = (data or b"").strip()
    if text in (b"", b"null"):
        return {}
    if text.startswith(b"{"):
        return orjson.Fragment(text)
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"value": text.decode(errors="replace")}
    return {"value": orjson.Fragment(text)}


def packed(rows: Iterable[AnyDict]) -> list[orjson.Fragment]:
    """Rows as the bytes they will be: a long list does not keep its objects until it is sent."""
    return [orjson.Fragment(orjson.dumps(row)) for row in rows]
