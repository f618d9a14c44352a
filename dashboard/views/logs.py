"""Logs: what all tasks of the tenant wrote, how much of which level when, and the search in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render

from dashboard.gate import PageRequest, tenant_page
from dashboard.log_filters import DEFAULT_WINDOW, LEVELS, WINDOWS, LogFilters, parse_log_filters
from dashboard.log_histogram import draw
from dashboard.payloads import SMALL_BYTES
from dashboard.rendering import render_fragment
from dashboard.run_form import workflow_choices
from engine.models import LogLine, Step, Task
from engine.models.wide_columns import with_small
from engine.models.workflow_queries import steps_of
from engine.operations.search_log_lines import (
    MOST_LOOKED_AT,
    Found,
    count_log_lines,
    find_log_lines,
)
from engine.states import LogLevel
from engine.store import sync_db
from engine.store.log_lines import FoundLine, WantedLines

PAGE_SIZE = 100
AN_INSTANT = timedelta(microseconds=1)


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    context = _list_context(request) | {
        "windows": [(key, label) for key, (label, _) in WINDOWS.items()],
        "levels": [(key, label) for key, (label, _) in LEVELS.items()],
        "workflows": workflow_choices(request),
        "default_window": DEFAULT_WINDOW,
    }
    return render(request, "dashboard/logs/index.html", context)


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/logs/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    filters, now = parse_log_filters(request.GET), datetime.now(UTC)
    wanted = _wanted(request, filters, now)
    found = sync_db.run(
        find_log_lines(
            request.tenant.id,
            wanted,
            limit=PAGE_SIZE,
            is_newest_first=True,
            looked_at=MOST_LOOKED_AT,
            cursor=filters.before,
        )
    )
    end = found.looked_until
    return {
        "filters": filters,
        "query_string": filters.query_string(),
        "histogram": _histogram(request, filters, wanted, now),
        "lines": _shown(found.lines),
        "is_live": not (filters.text or filters.since or filters.before),
        "newest": filters.query_string(before=None) if filters.before else None,
        "older": None if end is None else filters.query_string(before=end.id),
        "looked_back_to": _given_up_at(found),
        "all_time": filters.query_string(since=None, until=None, before=None),
    }


def _given_up_at(found: Found) -> datetime | None:
    """Where the search stopped before a page was full."""
    if found.looked_until is None or len(found.lines) == PAGE_SIZE:
        return None
    return found.looked_until.created_at


def _wanted(request: PageRequest, filters: LogFilters, now: datetime) -> WantedLines:
    buckets, tenant_id = filters.buckets(now), request.tenant.id
    steps = task_ids = None
    if filters.workflow_id:
        of_workflow = steps_of(tenant_id, [filters.workflow_id])
        steps = list(of_workflow.values_list("id", flat=True))
    if filters.run_id:
        tasks = Task.objects.filter(tenant_id=tenant_id, run_id=filters.run_id)
        task_ids = list(tasks.values_list("id", flat=True))
    return WantedLines(
        since=buckets.since - AN_INSTANT,
        until=filters.until,
        text=filters.text,
        levels=LEVELS[filters.level][1],
        attempt=filters.attempt,
        step_ids=steps,
        run_ids=[filters.run_id] if filters.run_id else [],
        task_ids=task_ids,
    )


def _histogram(
    request: PageRequest, filters: LogFilters, wanted: WantedLines, now: datetime
) -> dict[str, Any]:
    """The drawing, and for each bar the query that narrows the list to it."""
    buckets = filters.buckets(now)
    counted = sync_db.run(
        count_log_lines(
            request.tenant.id,
            wanted,
            start=buckets.start,
            until=buckets.until,
            width=buckets.width,
            looked_at=MOST_LOOKED_AT,
        )
    )
    drawn = draw(counted.lines, buckets, counted.since)
    bars = [
        (bar, filters.query_string(since=bar.since, until=bar.until, before=None))
        for bar in drawn.bars
    ]
    return {"drawn": drawn, "bars": bars, "counted_since": counted.since}


def _shown(found: Sequence[FoundLine]) -> list[dict[str, Any]]:
    """The lines with their texts and the names of what wrote them."""
    kept = LogLine.objects.filter(
        run_id__in={line.run_id for line in found}, id__in=[line.id for line in found]
    )
    texts = {line.id: line for line in with_small(kept, "metadata", SMALL_BYTES)}
    steps = Step.objects.filter(id__in={line.step_id for line in texts.values()})
    names: dict[UUID | None, str] = {
        step_id: workflow if step == workflow else f"{workflow} · {step}"
        for step_id, workflow, step in steps.values_list(
            "id", "version__workflow__name", "readable_id"
        )
    }
    return [
        {
            "line": texts[line.id],
            "level": LogLevel(line.level).name.lower(),
            "wrote": _wrote(names.get(texts[line.id].step_id, ""), line.retry_count),
        }
        for line in found
        if line.id in texts
    ]


def _wrote(name: str, retry_count: int) -> str:
    return f"{name} · attempt {retry_count + 1}" if retry_count else name
