"""The start page: how the tenant stands, and what whoever is on call would look for first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from dashboard.gate import PageRequest, tenant_page
from dashboard.rendering import render_fragment
from dashboard.run_filters import RunFilters
from dashboard.sparkline import hours_before, sparkline
from dashboard.standing import HOURS, facts_from, verdict
from dashboard.views.crons import CAUSES
from dashboard.views.runs import why_empty
from engine.models.error_queries import groups_of, hourly, in_state, latest_groups
from engine.states import CronMissCause, ErrorState
from engine.store import now as now_store
from engine.store import sync_db
from engine.store.query import fetch
from tenants.models import Role

ERRORS_SHOWN = 5


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return render(request, "dashboard/now/index.html", _context(request))


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/now/_now.html", _context(request))


def _context(request: PageRequest) -> dict[str, Any]:
    now, tenant_id = datetime.now(UTC), request.tenant.id
    asked = now_store.facts(tenant_id, now, with_audit=request.access.includes(Role.ADMIN))
    (row,) = sync_db.run(fetch(asked))
    facts = facts_from(row, now)
    context: dict[str, Any] = {
        "facts": facts,
        "verdict": verdict(facts, now),
        "missed": [(miss, CAUSES[CronMissCause(miss["cause"])]) for miss in facts.missed],
    }
    if not facts.has_runs:
        return context | {"empty": why_empty(request.tenant, RunFilters()), "filters": RunFilters()}
    return context | {"errors": _errors(request, now) if facts.open_errors else []}


def _errors(request: PageRequest, now: datetime) -> list[tuple[Any, Any]]:
    groups = groups_of(request.tenant.id).filter(in_state(ErrorState.OPEN, now))
    latest, _ = latest_groups(groups, None, ERRORS_SHOWN)
    hours = hours_before(now, HOURS)
    counts = hourly([group.id for group in latest], hours[0])
    return [(group, sparkline(counts[group.id], hours)) for group in latest]
