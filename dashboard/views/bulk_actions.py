"""Bulk actions: cancelling or replaying whatever a filter selects; looked at first, then started and followed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard.gate import PageRequest, tenant_page
from dashboard.rendering import render_fragment
from dashboard.run_filters import WINDOWS, parse_run_filters
from dashboard.run_form import workflow_choices
from dashboard.url_filters import parse_list_filters
from engine.errors import HatchetError
from engine.ids import new_id
from engine.models import BulkAction, Workflow
from engine.models.bulk_queries import filter_of, remaining_runs
from engine.models.run_queries import with_workflow_names
from engine.models.run_selection import selected_runs
from engine.operations.change_bulk_actions import (
    stage_bulk_action,
    start_bulk_action,
    stop_bulk_action,
)
from engine.states import BulkKind, BulkState, Status
from engine.store import sync_db
from engine.store.query import Operation
from tenants.audit.declared import Changes
from tenants.models import Role

PAGE_SIZE, SAMPLED = 50, 10
FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
KINDS = {kind.name.lower(): kind for kind in BulkKind}
LOOKS = {
    BulkState.STAGED: "pending",
    BulkState.RUNNING: "running",
    BulkState.STOPPED: "paused",
    BulkState.COMPLETED: "completed",
    BulkState.FAILED: "failed",
}
"""How a state is drawn."""


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return render(request, "dashboard/bulk_actions/index.html", _list_context(request))


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/bulk_actions/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    filters = parse_list_filters(request.GET)
    page, pager = filters.page(
        BulkAction.objects.filter(tenant_id=request.tenant.id), size=PAGE_SIZE
    )
    return {
        "rows": [_shown(action) for action in page],
    } | pager


@tenant_page("GET", "POST", needs=Role.MEMBER, audits=Changes("bulk_action.create"))
def new(request: PageRequest) -> HttpResponse:
    """Stage one; what the list of runs was narrowed by is filled in."""
    given = request.POST if request.method == "POST" else request.GET
    filters = parse_run_filters(given)
    kind = KINDS.get(given.get("action", ""))
    if request.method == "POST" and kind is not None and not filters.problems:
        now, action_id, tenant_id = datetime.now(UTC), new_id(), request.tenant.id
        since = filters.since(now) or FIRST_MOMENT
        wanted = filters.run_filter(since, min(filters.until_at or now, now))
        total = selected_runs(tenant_id, wanted).count()
        try:
            sync_db.run(stage_bulk_action(tenant_id, action_id, kind, wanted, total=total, now=now))
        except HatchetError as error:
            messages.error(request, str(error))
        else:
            return redirect("dashboard:bulk_action", request.tenant.slug, action_id)
    context = {
        "filters": filters,
        "is_narrower": bool(
            filters.is_evicted or filters.text or filters.query or filters.has_range
        ),
        "kind": given.get("action", "replay"),
        "is_missing": request.method == "POST" and kind is None,
        "statuses": [(status, status in filters.statuses) for status in Status],
        "windows": [(key, label) for key, (label, _) in WINDOWS.items()],
        "workflows": workflow_choices(request),
    }
    return render(request, "dashboard/bulk_actions/new.html", context)


@tenant_page()
def detail(request: PageRequest, action_id: UUID) -> HttpResponse:
    context = _detail_context(request, action_id)
    return render(request, "dashboard/bulk_actions/detail.html", context)


@tenant_page()
def detail_live(request: PageRequest, action_id: UUID) -> HttpResponse:
    context = _detail_context(request, action_id)
    return render_fragment(request, "dashboard/bulk_actions/_action.html", context)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("bulk_action.start"))
def start(request: PageRequest, action_id: UUID) -> HttpResponse:
    return _change(request, action_id, start_bulk_action)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("bulk_action.stop"))
def stop(request: PageRequest, action_id: UUID) -> HttpResponse:
    return _change(request, action_id, stop_bulk_action)


def _change(
    request: PageRequest,
    action_id: UUID,
    change: Callable[[UUID, UUID, datetime], Operation[None]],
) -> HttpResponse:
    _find(request, action_id)
    try:
        sync_db.run(change(request.tenant.id, action_id, datetime.now(UTC)))
    except HatchetError as error:
        messages.error(request, f"Nothing was changed: {error}.")
    return redirect("dashboard:bulk_action", request.tenant.slug, action_id)


def _find(request: PageRequest, action_id: UUID) -> BulkAction:
    found = BulkAction.objects.filter(tenant_id=request.tenant.id, id=action_id).first()
    if found is None:
        raise Http404("no such bulk action")
    return found


def _shown(action: BulkAction) -> dict[str, Any]:
    state = BulkState(action.state)
    return {
        "action": action,
        "kind": BulkKind(action.kind).name.capitalize(),
        "state": state.name.lower(),
        "look": LOOKS[state],
        "may_start": state in {BulkState.STAGED, BulkState.STOPPED},
        "may_stop": state in {BulkState.STAGED, BulkState.RUNNING},
        "is_live": state is BulkState.RUNNING,
        "is_over": action.finished_at is not None,
        "percent": min(100, 100 * action.done // max(action.total, 1)),
    }


def _detail_context(request: PageRequest, action_id: UUID) -> dict[str, Any]:
    action = _find(request, action_id)
    shown, wanted = _shown(action), filter_of(action)
    sample = [] if shown["is_over"] else with_workflow_names(remaining_runs(action))[:SAMPLED]
    workflows = Workflow.objects.filter(tenant_id=request.tenant.id, id__in=wanted.workflow_ids)
    return shown | {
        "since": wanted.since if wanted.since != FIRST_MOMENT else None,
        "until": wanted.until,
        "statuses": wanted.statuses,
        "workflow_names": list(workflows.order_by("name").values_list("name", flat=True)),
        "pairs": [f"{key}:{value}" for key, value in wanted.additional_metadata],
        "sample": sample,
    }
