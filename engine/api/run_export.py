"""Runs as lines of JSON, however many: they are read and sent a few at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponseBase
from rest_framework.request import Request

from engine.api.room import Room
from engine.api.run_selection import RunSelection
from engine.api.runs import run_rows
from engine.api.views import EngineView
from engine.models.pages import newest_page
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import FAILED, AnyDict, error_body
from tenants.rest.streaming import streamed

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/x-ndjson"
RUNS_AT_A_TIME = 50
BYTES_AT_A_TIME = 64 * 1024


@dataclass(frozen=True, slots=True)
class ExportedRuns:
    selection: RunSelection = part(RunSelection)
    with_payloads: bool = in_query.flag("include_payloads", True)


class RunExportView(EngineView):
    """All selected runs, the newest first, each a line; `errors` in the last one: it broke off there."""

    @takes_query(ExportedRuns)
    def get(self, request: Request, asked: ExportedRuns, **_: Any) -> HttpResponseBase:
        asked.selection.runs(self.tenant.id)  # what is wrong is said before anything is sent
        lines = _lines(self.tenant.id, asked, may_view=self.access.can_view_payloads)
        return streamed(
            request._request,
            lines,
            media_type=MEDIA_TYPE,
            file_name=f"runs-{self.tenant.slug}.ndjson",
        )


def _lines(tenant_id: UUID, asked: ExportedRuns, *, may_view: bool) -> Iterator[bytes]:
    """The lines, some at a time; each part is read from where the last one ended."""
    before: UUID | None = None
    has_more = True
    while has_more:
        try:
            runs, _newer, has_more = newest_page(
                asked.selection.runs(tenant_id), before=before, after=None, size=RUNS_AT_A_TIME
            )
            rows = run_rows(runs, room=Room(), with_payloads=asked.with_payloads, may_view=may_view)
        except Exception:
            log.exception("an export of runs broke off")
            yield orjson.dumps(error_body(500, FAILED)) + b"\n"
            return
        before = runs[-1].id if runs else None
        yield from _joined(rows)


def _joined(rows: list[AnyDict]) -> Iterator[bytes]:
    """Lines in parts that are worth sending."""
    part = bytearray()
    for row in rows:
        part += orjson.dumps(row) + b"\n"
        if len(part) > BYTES_AT_A_TIME:
            yield bytes(part)
            part.clear()
    yield bytes(part)
