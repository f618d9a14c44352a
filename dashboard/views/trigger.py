"""Starting a run by hand: choose a workflow, fill in its input, go."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from dashboard import trigger_form
from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import opened
from dashboard.run_form import RunForm, form_context, open_form, read_request, switch_mode
from dashboard.trigger_form import TriggerForm
from engine.errors import HatchetError
from engine.models.run_queries import runs_of
from engine.models.task_queries import payload
from engine.operations.parts.plan_runs import Trigger
from engine.operations.trigger_runs import trigger_runs
from engine.states import PayloadKind, RunTrigger
from engine.store import sync_db
from engine.vault.envelope import Unreadable
from tenants.audit.declared import DATA_PLANE
from tenants.models import Role

_BY_PERSON = Trigger(RunTrigger.PERSON)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=DATA_PLANE)
def form(request: PageRequest) -> HttpResponse:
    """Show the form; a POST starts the run, or shows the form again with what is wrong."""
    asked = open_form(request)
    if request.method != "POST":
        _prefill(request, asked.filled)
        return _page(request, asked)
    if "switch" in request.POST:
        switch_mode(asked, request)
        return _page(request, asked)
    wanted = read_request(asked, request)
    if wanted is None:
        return _page(request, asked, status=422)
    operation = trigger_runs(request.tenant.id, [wanted], datetime.now(UTC), _BY_PERSON)
    try:
        [run_id] = sync_db.run(operation)
    except HatchetError as error:
        asked.problems.append(str(error))
        return _page(request, asked, status=422)
    messages.success(request, f"Run of {wanted.workflow_name} started.")
    return redirect("dashboard:run", request.tenant.slug, run_id)


def _prefill(request: PageRequest, filled: TriggerForm) -> None:
    """`?from=<run>` starts with that run's input, if the reader may see inputs."""
    try:
        run_id = UUID(request.GET.get("from", ""))
    except ValueError:
        return
    is_known = runs_of(request.tenant.id).filter(id=run_id).exists()
    if is_known and request.access.can_view_payloads:
        stored = payload(run_id, PayloadKind.INPUT).first()
        if stored is not None:
            with suppress(Unreadable, HatchetError):
                trigger_form.prefill(filled, opened(stored.data))


def _page(request: PageRequest, asked: RunForm, status: int = 200) -> HttpResponse:
    context = form_context(request, asked)
    return render(request, "dashboard/runs/trigger.html", context, status=status)
