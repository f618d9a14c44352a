"""What a person does to runs: cancel and replay. Plain forms; the engine hears of it at once."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from dashboard.gate import PageRequest, tenant_page
from engine.domain.endings import cancelled_by
from engine.models.run_queries import runs_of
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.replay_tasks import replay_tasks
from engine.store import sync_db
from tenants.audit.declared import Acts
from tenants.models import Role


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("run.cancel"))
def cancel(request: PageRequest, run_id: UUID) -> HttpResponse:
    was_final = _was_final(request, run_id)
    with request.acting.on():
        message = cancelled_by(request.user.email)
        operation = cancel_tasks(request.tenant.id, [run_id], datetime.now(UTC), message=message)
        if not sync_db.run(operation):
            request.acting.leave_out()
    if was_final:
        messages.info(request, "Nothing to cancel: the run had finished already.")
    else:
        messages.success(request, "Run cancelled. Tasks on a worker are told to stop.")
    return _back(request, run_id)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("run.replay"))
def replay(request: PageRequest, run_id: UUID) -> HttpResponse:
    _was_final(request, run_id)
    with request.acting.on():
        replay = sync_db.run(replay_tasks(request.tenant.id, [run_id], datetime.now(UTC)))
        if not replay.ids:
            request.acting.leave_out()
    if replay.refused:
        holder = replay.refused[0].existing
        messages.error(request, f"Not replayed: run {holder} holds its idempotency key.")
    elif replay.ids:
        messages.success(request, "Run queued again with the same input.")
    else:
        messages.info(request, "Nothing to replay: the run has not finished.")
    return _back(request, run_id)


def _back(request: PageRequest, run_id: UUID) -> HttpResponse:
    """To the run's page, on the tab the button was pressed on."""
    page = reverse("dashboard:run", args=[request.tenant.slug, run_id])
    return redirect(f"{page}?{urlencode({'tab': request.POST.get('tab', '')})}")


def _was_final(request: PageRequest, run_id: UUID) -> bool:
    run = runs_of(request.tenant.id).filter(id=run_id).only("finished_at").first()
    if run is None:
        raise Http404("no such run")
    return run.finished_at is not None
