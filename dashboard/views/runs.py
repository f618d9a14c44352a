"""The list of runs: live, filtered by its URL, paged by key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Subquery
from django.http import HttpResponse
from django.shortcuts import render

from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import SMALL_BYTES
from dashboard.rendering import render_fragment
from dashboard.run_filters import WINDOWS, RunFilters, parse_run_filters
from engine.ids import time_of
from engine.models.cluster import Worker
from engine.models.durable_queries import which_are_off_worker
from engine.models.pages import newest_page
from engine.models.run_queries import runs_of, status_counts, with_workflow_names
from engine.models.wide_columns import with_small
from engine.models.workflow_queries import workflows_of
from engine.states import Status
from tenants.models import APIToken, Tenant

PAGE_SIZE = 50


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    filters = parse_run_filters(request.GET)
    context = _list_context(request, filters) | {
        "windows": [(key, label) for key, (label, _) in WINDOWS.items()],
        "workflows": list(workflows_of(request.tenant.id).values_list("id", "name")),
    }
    return render(request, "dashboard/runs/index.html", context)


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    context = _list_context(request, parse_run_filters(request.GET))
    return render_fragment(request, "dashboard/runs/_list.html", context)


def _list_context(request: PageRequest, filters: RunFilters) -> dict[str, Any]:
    now = datetime.now(UTC)
    since = filters.since(now)
    tenant_id = request.tenant.id
    runs, has_newer, has_older = newest_page(
        with_small(
            with_workflow_names(filters.apply(tenant_id, since)).defer("event_key", "event_id"),
            "additional_metadata",
            SMALL_BYTES,
        ),
        before=filters.before,
        after=filters.after,
        size=PAGE_SIZE,
    )
    context: dict[str, Any] = {
        "filters": filters,
        "runs": runs,
        "evicted": which_are_off_worker(runs),
        "evicted_query": _evicted_query(filters),
        "query_string": filters.query_string(with_page=True),
        "chips": _chips(filters, {}),
    }
    if not runs:
        return context | {"empty": _why_empty(request.tenant, filters)}
    workflow_ids = [filters.workflow_id] if filters.workflow_id else []
    counts = status_counts(tenant_id, since=since, workflow_ids=workflow_ids)
    first, last = runs[0].id, runs[-1].id
    return context | {
        "chips": _chips(filters, counts),
        "newer": _page_query(filters, after=first) if has_newer else None,
        "older": _page_query(filters, before=last) if has_older else None,
    }


def _page_query(
    filters: RunFilters, *, before: UUID | None = None, after: UUID | None = None
) -> str:
    return replace(filters, before=before, after=after).query_string(with_page=True)


def _chips(filters: RunFilters, counts: dict[Status, int]) -> list[dict[str, Any]]:
    """One toggle per status: a link to the list with that status alone, or without the filter."""
    chips = []
    for status in Status:
        is_on = status in filters.statuses
        wanted = () if is_on else (status,)
        chips.append(
            {
                "status": status,
                "count": counts.get(status),
                "is_on": is_on,
                "query": replace(
                    filters.first_page(), statuses=wanted, is_evicted=False
                ).query_string(),
            }
        )
    return chips


def _evicted_query(filters: RunFilters) -> str:
    """The list of runs that wait without a worker, or the list without this filter."""
    wanted = replace(filters.first_page(), statuses=(), is_evicted=not filters.is_evicted)
    return wanted.query_string()


def _why_empty(tenant: Tenant, filters: RunFilters) -> dict[str, Any]:
    """Which of three it is: no runs at all yet, none in this window, or none match the filters."""
    any_time = filters.apply(tenant.id, None).order_by("-id").values("id")[:1]
    tokens = APIToken.objects.filter(tenant=OuterRef("id"), is_internal=False, revoked_at=None)
    found = (
        Tenant.objects.filter(id=tenant.id)
        .annotate(
            newest=Subquery(any_time),
            has_runs=Exists(runs_of(tenant.id)),
            has_token=Exists(tokens),
            has_worker=Exists(Worker.objects.filter(tenant=OuterRef("id"))),
        )
        .values("newest", "has_runs", "has_token", "has_worker")
        .get()
    )
    newest = found["newest"]
    return found | {
        "newest_at": time_of(newest) if newest else None,
        "widened": replace(filters.first_page(), window="all").query_string(),
        "drops": _drops(filters.first_page()) if filters.is_narrowed else [],
    }


def _drops(filters: RunFilters) -> list[tuple[str, str]]:
    """Links that each leave out one filter."""
    drops = []
    if filters.statuses:
        drops.append(("any status", replace(filters, statuses=()).query_string()))
    if filters.is_evicted:
        drops.append(("evicted or not", replace(filters, is_evicted=False).query_string()))
    if filters.workflow_id:
        drops.append(("any workflow", replace(filters, workflow_id=None).query_string()))
    for pair in filters.metadata:
        rest = tuple(other for other in filters.metadata if other != pair)
        label = f"without {pair[0]}:{pair[1]}"
        drops.append((label, replace(filters, metadata=rest).query_string()))
    if filters.text:
        drops.append(("any id", replace(filters, text="").query_string()))
    return drops
