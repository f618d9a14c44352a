"""Showing stored bytes: pretty when they are small JSON, a head and a download when they are not."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from django.http import HttpResponse

from tenants.json_text import indented

HEAD_BYTES = 64 * 1024
SMALL_BYTES = 4 * 1024
"""How much of its metadata, or of another such column, a row of a list may show."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Text for a page; `is_cut` means that more is to be had by downloading."""

    text: str
    length: int
    is_cut: bool


def show_json(head: bytes | memoryview | None, length: int | None) -> Shown | None:
    """Indent whole JSON; leave anything else as it came. None if nothing is stored."""
    shown = show_text(head, length)
    if shown is None or shown.is_cut:
        return shown
    try:
        orjson.loads(shown.text)
    except orjson.JSONDecodeError:
        return shown
    return Shown(indented(shown.text), shown.length, is_cut=False)


def show_text(head: bytes | memoryview | None, length: int | None) -> Shown | None:
    if head is None:
        return None
    whole = bytes(head)
    size = len(whole) if length is None else length
    return Shown(whole.decode(errors="replace"), size, is_cut=size > len(whole))


def attachment(content: bytes, name: str, media_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
