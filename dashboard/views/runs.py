"""The list of runs: live, filtered by its URL, paged by key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import render

from dashboard import query_bar
from dashboard.gate import PageRequest, tenant_page
from dashboard.histogram import bucket_width, histogram
from dashboard.payloads import SMALL_BYTES
from dashboard.rendering import render_fragment
from dashboard.run_filters import WINDOWS, RunFilters, parse_run_filters
from dashboard.run_terms import asked_by
from engine.ids import id_at, time_of
from engine.models.cluster import Worker
from engine.models.durable_queries import which_are_off_worker
from engine.models.metric_queries import outcomes_by_bucket
from engine.models.pages import newest_page
from engine.models.run_queries import (
    runs_of,
    status_counts,
    with_attempt_times,
    with_workflow_names,
)
from engine.models.run_search import Bounds, search
from engine.models.runs import Run
from engine.models.wide_columns import with_small
from engine.models.workflow_queries import with_latest_version, workflows_of
from engine.states import Status
from tenants.models import APIToken, Tenant

PAGE_SIZE = 50
SEARCH_SECONDS = 1.5
CLOCKS_DIFFER = timedelta(minutes=1)


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    filters = parse_run_filters(request.GET)
    workflows: Any = with_latest_version(workflows_of(request.tenant.id))
    choices = list(workflows.values_list("id", "name", "latest_order", "latest_at"))
    now = datetime.now(UTC)
    context: dict[str, Any] = {
        "windows": [(key, label) for key, (label, _) in WINDOWS.items()],
        "workflows": [(workflow_id, name) for workflow_id, name, _, _ in choices],
        "examples": query_bar.EXAMPLES,
    }
    found, counts = _find(request, filters, now), None
    if found["runs"] and filters.is_tallied and (span := _span(filters, now)):
        width, workflow_ids = bucket_width(*span), _workflow_ids(filters)
        buckets = outcomes_by_bucket(request.tenant.id, *span, width, workflow_ids)
        marks = [(at, f"{name}: version {order}") for _, name, order, at in choices if at]
        kept = {"workflow": filters.workflow_id} if filters.workflow_id else {}
        context["histogram"] = histogram(buckets, span, width, marks, kept)
        counts = dict.fromkeys(Status, 0)
        for (_, status), number in buckets.items():
            counts[status] += number
    context |= _list_context(request, filters, found, now, counts)
    return render(request, "dashboard/runs/index.html", context)


def _span(filters: RunFilters, now: datetime) -> tuple[datetime, datetime] | None:
    """The minutes that the list covers; None if it has no beginning."""
    since = filters.since(now)
    until = min(filters.until_at or now, now)
    if since is None or since >= until:
        return None
    return since.replace(second=0, microsecond=0), until


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    filters, now = parse_run_filters(request.GET), datetime.now(UTC)
    context = _list_context(request, filters, _find(request, filters, now), now)
    return render_fragment(request, "dashboard/runs/_list.html", context)


def _list_context(
    request: PageRequest,
    filters: RunFilters,
    found: dict[str, Any],
    now: datetime,
    counts: dict[Status, int] | None = None,
) -> dict[str, Any]:
    """What the list shows of what was found; `counts` by status if they are known."""
    runs = found["runs"]
    context: dict[str, Any] = {
        "filters": filters,
        "evicted": which_are_off_worker(runs),
        "evicted_query": _evicted_query(filters),
        "query_string": filters.query_string(with_page=True),
    }
    if counts is None:
        context |= found | _counts(request.tenant.id, filters, now, is_empty=not runs)
    else:
        context |= found | {"chips": _chips(filters, counts)}
    if not runs and not found.get("continued"):
        return context | {"empty": why_empty(request.tenant, filters)}
    return context


def _find(request: PageRequest, filters: RunFilters, now: datetime) -> dict[str, Any]:
    """A page of runs by key; or, with a query, what a search through time comes to."""
    parsed = query_bar.parse(filters.query, now)
    may_view = request.access.can_view_payloads
    asked = asked_by(parsed.terms, request.tenant.id, may_view=may_view)
    since = max(filter(None, (filters.since(now), asked.since)), default=None)
    until = min(filter(None, (filters.until_at, asked.until)), default=None)
    if since and until and since > until:
        until = since
    runs = with_workflow_names(filters.apply(request.tenant.id, since, until))
    runs = with_attempt_times(runs.filter(asked.condition)).defer("event_key", "event_id")
    runs = with_small(runs, "additional_metadata", SMALL_BYTES)
    problems = (*filters.problems, *parsed.problems, *asked.problems)
    if filters.query:
        return _searched(request, filters, runs, (since, until or now)) | {"problems": problems}
    page, has_newer, has_older = newest_page(
        runs, before=filters.before, after=filters.after, size=PAGE_SIZE
    )
    return {
        "runs": page,
        "problems": problems,
        "newer": _page_query(filters, after=page[0].id) if page and has_newer else None,
        "older": _page_query(filters, before=page[-1].id) if page and has_older else None,
    }


def _searched(
    request: PageRequest,
    filters: RunFilters,
    runs: QuerySet[Run],
    span: tuple[datetime | None, datetime],
) -> dict[str, Any]:
    since, until = span
    newest = id_at(until + CLOCKS_DIFFER)
    before = min(filters.before, newest) if filters.before else newest
    bounds = Bounds(request.tenant.id, before, since)
    found = search(runs, bounds, size=PAGE_SIZE, clock=monotonic, budget=SEARCH_SECONDS)
    back_to = found.looked_back_to
    last = id_at(back_to) if back_to else found.runs[-1].id if found.has_more else None
    return {
        "runs": found.runs,
        "looked_back_to": back_to,
        "continued": _page_query(filters, before=last) if back_to and last else None,
        "older": _page_query(filters, before=last) if last and not back_to else None,
    }


def _counts(
    tenant_id: UUID, filters: RunFilters, now: datetime, *, is_empty: bool
) -> dict[str, Any]:
    """The chips, with counts where the tally can tell what is listed; else how many there are before."""
    if filters.text or filters.query:
        return {"chips": _chips(filters, {})}
    if is_empty and filters.is_first_page and not filters.is_narrowed:
        return {"chips": _chips(filters, dict.fromkeys(Status, 0))}
    counts = status_counts(
        tenant_id,
        since=filters.since(now),
        until=filters.until_at,
        workflow_ids=_workflow_ids(filters),
    )
    if filters.is_tallied:
        return {"chips": _chips(filters, counts)}
    wanted = filters.statuses or Status
    total = sum(counts[status] for status in wanted)
    return {"chips": _chips(filters, {}), "picked_from": total}


def _workflow_ids(filters: RunFilters) -> list[UUID]:
    return [filters.workflow_id] if filters.workflow_id else []


def _page_query(
    filters: RunFilters, *, before: UUID | None = None, after: UUID | None = None
) -> str:
    return replace(filters, before=before, after=after).query_string(with_page=True)


def _chips(filters: RunFilters, counts: dict[Status, int]) -> list[dict[str, Any]]:
    """One toggle per status: a link to the list with that status too, or without it."""
    chips = []
    for status in Status:
        is_on = status in filters.statuses
        wanted = tuple(one for one in Status if (one in filters.statuses) != (one is status))
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


def why_empty(tenant: Tenant, filters: RunFilters) -> dict[str, Any]:
    """Which of three it is: no runs at all yet, none in this window, or none match the filters."""
    # A query would have to be looked for in all runs there are.
    anything = replace(filters, query="")
    any_time = anything.apply(tenant.id, None).order_by("-id").values("id")[:1]
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
    newest = None if filters.query else found["newest"]
    return found | {
        "newest_at": time_of(newest) if newest else None,
        "widened": _widened(filters).query_string(),
        "drops": _drops(filters.first_page()) if filters.is_narrowed else [],
    }


def _widened(filters: RunFilters) -> RunFilters:
    return replace(filters.first_page(), window="all", since_at=None, until_at=None)


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
    if filters.query:
        drops.append(("without the query", replace(filters, query="").query_string()))
    if filters.text:
        drops.append(("any id", replace(filters, text="").query_string()))
    return drops
