"""Runs as lines of JSON, however many: they are read and sent a few at a time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

import orjson
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase, StreamingHttpResponse
from rest_framework.request import Request

from engine.api.room import Room
from engine.api.run_selection import RunSelection
from engine.api.runs import run_rows
from engine.api.views import EngineView
from engine.models.pages import newest_page
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import FAILED, AnyDict, ApiError, error_body

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/x-ndjson"
RUNS_AT_A_TIME = 50
BYTES_AT_A_TIME = 64 * 1024
MOST_AT_ONCE = 3
"""Each export keeps one of the threads that serve requests, for as long as its reader takes."""

_places = BoundedSemaphore(MOST_AT_ONCE)


@dataclass(frozen=True, slots=True)
class ExportedRuns:
    selection: RunSelection = part(RunSelection)
    with_payloads: bool = in_query.flag("include_payloads", True)


class RunExportView(EngineView):
    """All selected runs, the newest first, each a line; `errors` in the last one: it broke off there."""

    @takes_query(ExportedRuns)
    def get(self, request: Request, asked: ExportedRuns, **_: Any) -> HttpResponseBase:
        asked.selection.runs(self.tenant.id)  # what is wrong is said before anything is sent
        if not _places.acquire(blocking=False):
            raise ApiError(429, f"{MOST_AT_ONCE} exports are being sent; try again later")
        lines = Lines(self.tenant.id, asked, may_view=self.access.can_view_payloads)
        is_async = isinstance(request._request, ASGIRequest)
        return StreamingHttpResponse(
            LinesInThread(lines) if is_async else lines, content_type=MEDIA_TYPE
        )


class Lines:
    """The lines of an export, some at a time. `close` gives its place to another one."""

    def __init__(self, tenant_id: UUID, asked: ExportedRuns, *, may_view: bool) -> None:
        self._tenant_id, self._asked, self._may_view = tenant_id, asked, may_view
        self._has_place = True

    def __iter__(self) -> Iterator[bytes]:
        before: UUID | None = None
        has_more = True
        while has_more:
            try:
                runs, _newer, has_more = newest_page(
                    self._asked.selection.runs(self._tenant_id),
                    before=before,
                    after=None,
                    size=RUNS_AT_A_TIME,
                )
                rows = run_rows(
                    runs,
                    room=Room(),
                    with_payloads=self._asked.with_payloads,
                    may_view=self._may_view,
                )
            except Exception:
                log.exception("an export of runs broke off")
                yield orjson.dumps(error_body(500, FAILED)) + b"\n"
                return
            before = runs[-1].id if runs else None
            yield from _joined(rows)

    def close(self) -> None:
        if self._has_place:
            self._has_place = False
            _places.release()


def _joined(rows: list[AnyDict]) -> Iterator[bytes]:
    """Lines in parts that are worth sending."""
    part = bytearray()
    for row in rows:
        part += orjson.dumps(row) + b"\n"
        if len(part) > BYTES_AT_A_TIME:
            yield bytes(part)
            part.clear()
    yield bytes(part)


class LinesInThread:
    """The same for a server that does not wait: the database is asked in the request's thread."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.close = lines.close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = iter(self._lines)
        following = sync_to_async(lambda: next(parts, None))
        while (some := await following()) is not None:
            yield some
