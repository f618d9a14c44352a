"""Pausing a workflow, with what becomes of crons and schedules meanwhile, and resuming it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from dashboard.gate import PageRequest, tenant_page
from dashboard.views.workflows import find_workflow
from engine.domain.durations import parse_sleep
from engine.errors import InvalidArgument
from engine.models.definitions import Workflow
from engine.operations.pause_workflows import Pause, pause_workflow, unpause_workflow
from engine.store import sync_db
from tenants.audit.declared import Changes
from tenants.models import Role

QUEUE, DROP = "QUEUE", "DROP"
DEFAULT_TTL = "24h"


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("workflow.pause"))
def pause(request: PageRequest, workflow_id: UUID) -> HttpResponse:
    """Ask what a pause is to do; a POST pauses, or gives a paused workflow other settings."""
    workflow = find_workflow(request, workflow_id)
    typed = {
        "cron": workflow.paused_cron_behavior or DROP,
        "scheduled": workflow.paused_scheduled_behavior or DROP,
        "ttl": _seconds_text(workflow.paused_ttl_seconds) or DEFAULT_TTL,
    }
    if request.method != "POST":
        return _page(request, workflow, typed)
    typed = {name: request.POST.get(name, "").strip() for name in typed}
    try:
        wanted = Pause(typed["cron"], typed["scheduled"], parse_sleep(typed["ttl"], "time"))
    except InvalidArgument as error:
        return _page(request, workflow, typed | {"ttl_problem": str(error)}, status=422)
    if not {typed["cron"], typed["scheduled"]} <= {QUEUE, DROP}:
        return _page(request, workflow, typed | {"problem": "Choose queue or drop."}, status=422)
    sync_db.run(pause_workflow(request.tenant.id, workflow.id, wanted, datetime.now(UTC)))
    messages.success(request, f"{workflow.name} is paused.")
    return redirect("dashboard:workflow", request.tenant.slug, workflow.id)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("workflow.resume"))
def resume(request: PageRequest, workflow_id: UUID) -> HttpResponse:
    workflow = find_workflow(request, workflow_id)
    sync_db.run(unpause_workflow(request.tenant.id, workflow.id, datetime.now(UTC)))
    messages.success(request, f"{workflow.name} goes on.")
    return redirect("dashboard:workflow", request.tenant.slug, workflow.id)


def _seconds_text(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _page(
    request: PageRequest, workflow: Workflow, typed: dict[str, str], status: int = 200
) -> HttpResponse:
    context = {"workflow": workflow, "typed": typed}
    return render(request, "dashboard/workflows/pause.html", context, status=status)
