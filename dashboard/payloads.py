"""Showing stored bytes: pretty when they are small JSON, a head and a download when they are not."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from django.http import HttpResponse

from engine.domain.payload import MARK
from engine.errors import HatchetError
from engine.store import sealing
from engine.vault.envelope import Unreadable
from tenants.json_text import indented

HEAD_BYTES = 64 * 1024
_OPENED_BYTES = 16 * HEAD_BYTES
"""What a payload may come to that a page opens to show the head of it."""
SMALL_BYTES = 4 * 1024
"""How much of its metadata, or of another such column, a row of a list may show."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Text for a page; `is_cut` means that more is to be had by downloading."""

    text: str
    length: int
    is_cut: bool


def show_stored(head: bytes | memoryview | None, length: int | None) -> Shown | None:
    """Show the head of a payload's row, opened if it is not stored as it came.

    One that cannot be read says why; one that is too large for a page is to be had by downloading.
    """
    if head is None or bytes(head[:1]) != MARK:
        return show_json(head, length)
    if len(head) == 1 or (length or 0) > _OPENED_BYTES:
        return Shown("", length or 0, is_cut=True)
    try:
        return show_json(opened(head)[:HEAD_BYTES], length)
    except (Unreadable, HatchetError) as error:
        return Shown(str(error), length or 0, is_cut=False)


def opened(stored: bytes | memoryview) -> bytes:
    """Return a payload as it came. Unreadable: it cannot be had any more; HatchetError: not now."""
    sealer = sealing.sealer()
    return bytes(stored) if sealer is None else sealer.plain(bytes(stored))


def download(stored: bytes | memoryview, name: str, media_type: str) -> HttpResponse:
    """A payload as it came, or a sentence that says why it cannot be had."""
    try:
        return attachment(opened(stored), name, media_type)
    except Unreadable as error:
        return HttpResponse(str(error), content_type="text/plain; charset=utf-8", status=410)
    except HatchetError as error:
        return HttpResponse(str(error), content_type="text/plain; charset=utf-8", status=503)


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
