"""Replaying the runs that failed in one way: how many and which first, then a bulk action does it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from dashboard.gate import PageRequest, tenant_page
from dashboard.views.errors import find_group
from engine.errors import HatchetError
from engine.ids import new_id
from engine.models import ErrorGroup
from engine.models.run_queries import with_workflow_names
from engine.models.run_selection import selected_runs
from engine.operations.change_bulk_actions import stage_bulk_action, start_bulk_action
from engine.states import BulkKind, Status
from engine.store import sync_db
from engine.types import RunFilter
from tenants.audit.declared import Acts
from tenants.models import Role

SAMPLED = 10
_OLDEST_RUN = timedelta(days=90)
"""A run may have waited so long before it failed."""


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Acts("error.replay"))
def replay(request: PageRequest, group_id: UUID) -> HttpResponse:
    """Ask first; a POST starts a bulk action over all that stand failed by this error now."""
    group, now = find_group(request, group_id), datetime.now(UTC)
    wanted = _wanted(group, now)
    found = selected_runs(request.tenant.id, wanted)
    total = found.count()
    if request.method != "POST":
        sample = with_workflow_names(found.order_by("-id"))[:SAMPLED]
        context = {"group": group, "total": total, "sample": sample}
        return render(request, "dashboard/failures/replay.html", context)
    action_id = new_id()
    try:
        with request.acting.on() as told:
            stage = stage_bulk_action(
                request.tenant.id, action_id, BulkKind.REPLAY, wanted, total=total, now=now
            )
            sync_db.run(stage)
            sync_db.run(start_bulk_action(request.tenant.id, action_id, now))
            told.update({"bulk_action": str(action_id), "runs": total})
    except HatchetError as error:
        messages.error(request, f"Nothing is replayed: {error}.")
        return redirect("dashboard:error", request.tenant.slug, group_id)
    messages.success(request, f"{total:,} runs are being replayed.")
    return redirect("dashboard:error", request.tenant.slug, group_id)


def _wanted(group: ErrorGroup, now: datetime) -> RunFilter:
    return RunFilter(
        since=group.first_seen_at - _OLDEST_RUN,
        until=now,
        statuses=(Status.FAILED,),
        error_group_id=group.id,
    )
