"""Runs a page at a time, each beginning where the one before it ended, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.run_selection import RunSelection
from engine.api.runs import run_rows, task_rows
from engine.api.views import EngineView
from engine.models.pages import newest_page
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import AnyDict
from tenants.rest.paging import ROWS_AT_A_TIME


@dataclass(frozen=True, slots=True)
class PagedRuns:
    selection: RunSelection = part(RunSelection)
    only_tasks: bool = in_query.flag("only_tasks", False)
    with_payloads: bool = in_query.flag("include_payloads", False)
    cursor: UUID | None = in_query.uuid("cursor")
    limit: int = in_query.whole("limit", 100, minimum=1, maximum=ROWS_AT_A_TIME)


class RunPageView(EngineView):
    """A page of runs, or of tasks, the newest first. What is made meanwhile shifts nothing."""

    @takes_query(PagedRuns)
    def get(self, request: Request, asked: PagedRuns, **_: Any) -> Response:
        make_rows: Callable[..., list[AnyDict]] = task_rows if asked.only_tasks else run_rows
        selection = asked.selection
        found: QuerySet[Any] = (
            selection.tasks(self.tenant.id) if asked.only_tasks else selection.runs(self.tenant.id)
        )
        page, _newer, has_more = newest_page(
            found, before=asked.cursor, after=None, size=asked.limit
        )
        rows = make_rows(
            page,
            room=Room(),
            with_payloads=asked.with_payloads,
            may_view=self.access.can_view_payloads,
        )
        following = {"nextCursor": str(page[-1].id)} if has_more else {}
        return Response({"rows": packed(rows)} | following)
