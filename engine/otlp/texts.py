"""Attributes of OTLP as texts, within bounds: nobody's attributes may grow without an end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tenants.json_text import without_nul

MOST_ATTRIBUTES = 128
LONGEST_KEY = 255
LONGEST_VALUE = 4_096
MOST_CHARACTERS = 32_768
"""Of all the attributes of one thing together."""
_DEEPEST = 5
_MOST_PARTS = 128
CUT = "…"


def cut(text: str, longest: int) -> str:
    """Return a text that can be stored; of a long one the beginning, with a mark."""
    shortened = text if len(text) <= longest else text[: longest - 1] + CUT
    return without_nul(shortened)


def texts_of(attributes: Iterable[KeyValue]) -> tuple[dict[str, str], int]:
    """Return attributes as texts, of each key the last one; and how many were left out."""
    texts: dict[str, str] = {}
    room, dropped = MOST_CHARACTERS, 0
    for number, attribute in enumerate(attributes):
        if number >= MOST_ATTRIBUTES:
            dropped += 1
            continue
        key, value = cut(attribute.key, LONGEST_KEY), text_of(attribute.value)
        room -= len(key) + len(value)
        if room < 0:
            dropped += 1
        else:
            texts[key] = value
    return texts, dropped


def text_of(value: AnyValue) -> str:
    """Return a value as a text: a list or an object as JSON."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return cut(value.string_value, LONGEST_VALUE)
    if kind == "int_value":
        return str(value.int_value)
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "double_value":
        return repr(value.double_value)
    if kind is None:
        return ""
    return cut(orjson.dumps(_plain(value, 0)).decode(), LONGEST_VALUE)


def _plain(value: AnyValue, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return cut(value.string_value, LONGEST_VALUE)
    if kind == "bytes_value":
        return value.bytes_value[: LONGEST_VALUE // 2].hex()
    if kind not in ("array_value", "kvlist_value"):
        return None if kind is None else getattr(value, kind)
    if depth == _DEEPEST:
        return CUT
    if kind == "array_value":
        return [_plain(part, depth + 1) for part in value.array_value.values[:_MOST_PARTS]]
    return {
        cut(part.key, LONGEST_KEY): _plain(part.value, depth + 1)
        for part in value.kvlist_value.values[:_MOST_PARTS]
    }
