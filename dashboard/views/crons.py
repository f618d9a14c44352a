"""Crons: what runs again and again, when next, and switching, running and deleting them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import HEAD_BYTES, SMALL_BYTES, attachment, show_json
from dashboard.rendering import render_fragment
from dashboard.run_form import (
    RunForm,
    form_context,
    open_form,
    read_request,
    switch_mode,
    workflow_choices,
)
from dashboard.upcoming import Upcoming, upcoming
from dashboard.url_filters import parse_list_filters
from engine.domain.cron.expression import MAX_CRON_LENGTH
from engine.domain.cron.firing import LATEST, MOST_MADE_UP
from engine.errors import HatchetError
from engine.models.timetable import Cron, CronMiss
from engine.models.wide_columns import with_head, with_small
from engine.operations.timetable.change_crons import (
    choose_missed,
    create_cron,
    delete_cron,
    switch_cron,
)
from engine.operations.timetable.fire_crons import run_cron_now
from engine.states import CronMissCause, MissedPolicy
from engine.store import sync_db
from tenants.audit.declared import Acts, Changes
from tenants.models import Role

PAGE_SIZE, MISSES_SHOWN = 50, 20
MAX_NAME = 200
POLICIES = {
    "skip": "Missed times are left out",
    "latest": "The latest missed time is made up",
    "all": f"Missed times are made up, the last {MOST_MADE_UP} of them",
}
CAUSES = {
    CronMissCause.STOPPED: "No engine was running",
    CronMissCause.LATE: f"No engine got to it within {LATEST.total_seconds():.0f} seconds",
    CronMissCause.PAUSED: "Its workflow was paused",
    CronMissCause.FAILED: "Its run could not be started",
    CronMissCause.TOO_MANY: f"More than {MOST_MADE_UP} times had been missed",
}


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    context = _list_context(request) | {"workflows": workflow_choices(request)}
    return render(request, "dashboard/crons/index.html", context)


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/crons/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    filters = parse_list_filters(request.GET, "meta")
    crons = _crons(request).filter(filters.metadata_condition())
    if filters.workflow_id:
        crons = crons.filter(workflow_id=filters.workflow_id)
    page, pager = filters.page(
        with_small(crons, "additional_metadata", SMALL_BYTES), size=PAGE_SIZE
    )
    return {"crons": page, "misses": _misses(page)} | pager


def _misses(crons: Sequence[Cron]) -> dict[UUID, dict[str, Any]]:
    """How many times each of these crons missed of late, and why last."""
    found: dict[UUID, dict[str, Any]] = {}
    rows = CronMiss.objects.filter(cron__in=crons).order_by("id")
    for cron_id, cause, count, last_at in rows.values_list("cron_id", "cause", "count", "last_at"):
        known = found.setdefault(cron_id, {"count": 0})
        known["count"] += count
        known |= {"why": CAUSES[CronMissCause(cause)], "last_at": last_at}
    return found


@tenant_page()
def detail(request: PageRequest, cron_id: UUID) -> HttpResponse:
    found = with_small(_crons(request), "additional_metadata", HEAD_BYTES)
    cron = with_head(found, "input", HEAD_BYTES).filter(id=cron_id).first()
    if cron is None:
        raise Http404("no such cron")
    given = show_json(getattr(cron, "input_head", None), getattr(cron, "input_length", None))
    context = {
        "cron": cron,
        "upcoming": _upcoming(cron) if cron.is_enabled else None,
        "input": given if request.access.can_view_payloads else None,
        "misses": [
            (CAUSES[CronMissCause(miss.cause)], miss)
            for miss in cron.misses.order_by("-id")[:MISSES_SHOWN]
        ],
        "policies": POLICIES,
        "chosen": MissedPolicy(cron.missed).name.lower(),
    }
    return render(request, "dashboard/crons/detail.html", context)


def _upcoming(cron: Cron) -> Upcoming:
    return upcoming(cron.expression, datetime.now(UTC), cron.created_at)


@tenant_page()
def download_input(request: PageRequest, cron_id: UUID) -> HttpResponse:
    """The cron's input exactly as stored."""
    if not request.access.can_view_payloads:
        raise Http404("payloads are hidden from this member")
    given = bytes(_find(request, cron_id).input)
    return attachment(given, f"cron-{cron_id}.json", "application/json")


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("cron.create"))
def new(request: PageRequest) -> HttpResponse:
    """Show the form with a look at the next times; a POST makes the cron, or says what is wrong."""
    asked = open_form(request)
    given = request.POST if request.method == "POST" else request.GET
    typed = {
        "name": given.get("name", "").strip(),
        "expression": given.get("expression", ""),
        "missed": given.get("missed", "skip"),
    }
    if request.method != "POST":
        return _form(request, asked, typed)
    if "switch" in request.POST:
        switch_mode(asked, request)
        return _form(request, asked, typed)
    problem, missed = _name_problem(typed["name"]), _policy(typed["missed"])
    wanted = read_request(asked, request)
    if missed is None:
        asked.problems.append("Choose what to do about missed times.")
    if wanted is None or missed is None or problem:
        return _form(request, asked, typed | {"name_problem": problem}, status=422)
    operation = create_cron(
        request.tenant.id,
        name=typed["name"],
        expression=typed["expression"],
        request=wanted,
        now=datetime.now(UTC),
        missed=missed,
    )
    try:
        cron_id = sync_db.run(operation)
    except HatchetError as error:
        if upcoming(typed["expression"], datetime.now(UTC)).problem:
            typed["expression_problem"] = str(error)
        else:
            asked.problems.append(str(error))
        return _form(request, asked, typed, status=422)
    messages.success(request, f"Cron “{typed['name']}” is set.")
    return redirect("dashboard:cron", request.tenant.slug, cron_id)


def _name_problem(name: str) -> str:
    if not name:
        return "Give the cron a name."
    if len(name) > MAX_NAME or "\0" in name:
        return f"A name has at most {MAX_NAME} characters and no NUL."
    return ""


def _form(
    request: PageRequest, asked: RunForm, typed: dict[str, str], status: int = 200
) -> HttpResponse:
    context = form_context(request, asked) | {
        "typed": typed,
        "upcoming": _preview(typed["expression"]),
        "max_name": MAX_NAME,
        "max_expression": MAX_CRON_LENGTH,
        "policies": POLICIES,
        "chosen": typed["missed"],
    }
    return render(request, "dashboard/crons/new.html", context, status=status)


@tenant_page()
def preview(request: PageRequest) -> HttpResponse:
    """The next times of the expression as far as it was typed."""
    context = {"upcoming": _preview(request.GET.get("expression", ""))}
    return render(request, "dashboard/crons/_upcoming.html", context)


def _preview(expression: str) -> Upcoming | None:
    return upcoming(expression, datetime.now(UTC)) if expression.strip() else None


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("cron.update"))
def switch(request: PageRequest, cron_id: UUID) -> HttpResponse:
    """Enable a cron, or disable it with `enabled=no`."""
    cron = _find(request, cron_id)
    is_enabled = request.POST.get("enabled", "yes") != "no"
    now = datetime.now(UTC)
    try:
        sync_db.run(switch_cron(request.tenant.id, cron.id, is_enabled=is_enabled, now=now))
    except HatchetError as error:
        messages.error(request, f"Nothing was changed: {error}")
        return redirect("dashboard:cron", request.tenant.slug, cron.id)
    words = "enabled" if is_enabled else "disabled: it starts nothing until it is enabled again"
    messages.success(request, f"Cron {words}.")
    return redirect("dashboard:cron", request.tenant.slug, cron.id)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("cron.update"))
def missed(request: PageRequest, cron_id: UUID) -> HttpResponse:
    """Choose what it does about times it misses."""
    cron = _find(request, cron_id)
    policy = _policy(request.POST.get("missed", ""))
    if policy is None:
        messages.error(request, "Choose what to do about missed times.")
    else:
        sync_db.run(choose_missed(request.tenant.id, cron.id, policy, datetime.now(UTC)))
        messages.success(request, f"From now on: {POLICIES[policy.name.lower()]}.")
    return redirect("dashboard:cron", request.tenant.slug, cron.id)


def _policy(text: str) -> MissedPolicy | None:
    return MissedPolicy[text.upper()] if text in POLICIES else None


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("cron.run"))
def run_now(request: PageRequest, cron_id: UUID) -> HttpResponse:
    cron = _find(request, cron_id)
    try:
        with request.acting.on() as told:
            run_id = sync_db.run(run_cron_now(request.tenant.id, cron.id, datetime.now(UTC)))
            told["run"] = str(run_id)
    except HatchetError as error:
        messages.error(request, f"Nothing was started: {error}")
        return redirect("dashboard:cron", request.tenant.slug, cron.id)
    messages.success(request, f"Run of {cron.workflow.name} started.")
    return redirect("dashboard:run", request.tenant.slug, run_id)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("cron.delete"))
def delete(request: PageRequest, cron_id: UUID) -> HttpResponse:
    """Ask first, then delete."""
    cron = _find(request, cron_id)
    if request.method != "POST":
        return render(request, "dashboard/crons/delete.html", {"cron": cron})
    sync_db.run(delete_cron(request.tenant.id, cron.id))
    messages.success(request, "Cron deleted.")
    return redirect("dashboard:crons", request.tenant.slug)


def _crons(request: PageRequest) -> QuerySet[Cron]:
    crons = Cron.objects.filter(tenant=request.tenant, workflow__deleted_at__isnull=True)
    return crons.select_related("workflow").defer("input", "additional_metadata")


def _find(request: PageRequest, cron_id: UUID) -> Cron:
    cron = _crons(request).filter(id=cron_id).first()
    if cron is None:
        raise Http404("no such cron")
    return cron
