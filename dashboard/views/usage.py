"""What a tenant may have only so much of, how much it has, and for how long it keeps what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from dashboard.gate import PageRequest, tenant_page
from engine.errors import HatchetError
from engine.operations.read_usage import Usage, read_usage
from engine.operations.retention.choose import choose_period, forget_period, read_periods
from engine.store import sync_db
from tenants.audit.declared import Changes
from tenants.durations import shown_kept
from tenants.models import Role
from tenants.resources import Resource

_NAMES = {
    Resource.TASK_RUN: "Task runs",
    Resource.EVENT: "Events",
    Resource.WORKER: "Workers",
    Resource.WORKER_SLOT: "Slots of workers",
    Resource.CRON: "Crons",
    Resource.SCHEDULE: "Scheduled runs",
    Resource.INCOMING_WEBHOOK: "Webhooks",
    Resource.API_TOKEN: "API tokens",
}


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return _show(request)


@tenant_page("POST", needs=Role.ADMIN, audits=Changes("retention.update"))
def retain(request: PageRequest) -> HttpResponse:
    """Keep one kind for another time; an empty one is what holds for the installation."""
    kind, text = request.POST.get("kind", ""), request.POST.get("period", "").strip()
    tenant_id = request.tenant.id
    try:
        change = choose_period(tenant_id, kind, text) if text else forget_period(tenant_id, kind)
        sync_db.run(change)
    except HatchetError as error:
        return _show(request, wrong=(kind, text, str(error)))
    messages.success(request, "Saved. What is too old now is removed within a day.")
    return redirect("dashboard:settings_usage", request.tenant.slug)


def _show(request: PageRequest, wrong: tuple[str, str, str] = ("", "", "")) -> HttpResponse:
    config = settings.HATCHET.retention
    kind, text, error = wrong
    rows: list[dict[str, Any]] = [
        {
            "kind": period.kind.name,
            "title": period.kind.title,
            "kept": _in_words(period.kept),
            "default": _in_words(period.default),
            "text": shown_kept(period.own.total_seconds()) if period.own else "",
        }
        for period in sync_db.run(read_periods(request.tenant.id, config))
    ]
    for row in rows:
        if error and row["kind"] == kind:
            row |= {"text": text, "error": error}
    usages = sync_db.run(read_usage(request.tenant.id, datetime.now(UTC)))
    context = {
        "usages": [(_NAMES[usage.resource], usage, _window_of(usage)) for usage in usages],
        "periods": rows,
        "is_enabled": config.is_enabled,
        "error": error if error and all(row["kind"] != kind for row in rows) else "",
    }
    return render(request, "dashboard/settings/usage.html", context, status=422 if error else 200)


def _window_of(usage: Usage) -> str:
    seconds = usage.window_seconds
    return "" if seconds is None else f"in {shown_kept(seconds)}"


def _in_words(period: timedelta) -> str:
    if period.seconds:
        return shown_kept(period.total_seconds())
    return f"{period.days} day{'' if period.days == 1 else 's'}"
