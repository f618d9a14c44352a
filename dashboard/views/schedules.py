"""Scheduled runs: those that wait for their time, those that had it; move and delete the former."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from dashboard.gate import PageRequest, tenant_page
from dashboard.moments import moment_text, parse_when
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
from dashboard.url_filters import ListFilters, parse_id, parse_list_filters
from engine.errors import HatchetError
from engine.models.run_queries import lean_runs
from engine.models.runs import Run
from engine.models.timetable import Schedule
from engine.models.wide_columns import with_head, with_small
from engine.operations.timetable.change_schedules import (
    Outcome,
    delete_schedules,
    move_schedules,
    schedule_runs,
)
from engine.operations.timetable.fire_schedules import run_schedule_now
from engine.store import sync_db
from tenants.audit.declared import Acts, Changes
from tenants.models import Role

PAGE_SIZE = 50
MOST_CHANGED = 500
DEFAULT_DELAY = timedelta(hours=1)
STATES = {"": "Waiting", "fired": "Started"}


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    context = _list_context(request) | {"workflows": workflow_choices(request)}
    return render(request, "dashboard/schedules/index.html", context)


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/schedules/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    """What waits comes soonest first, what has started latest first."""
    filters = parse_list_filters(request.GET, "state", "meta")
    is_fired = filters.text("state") == "fired"
    found = _matching(request, filters).filter(due_at__isnull=is_fired)
    total = found.count() if not is_fired else 0
    found = with_small(found, "additional_metadata", SMALL_BYTES)
    page = list(_page_of(found, request.GET.get("from", ""), is_fired=is_fired)[: PAGE_SIZE + 1])
    shown = page[:PAGE_SIZE]
    runs = Run.objects.only("id", "status").in_bulk([s.run_id for s in shown if s.run_id])
    return {
        "filters": filters,
        "is_fired": is_fired,
        "states": list(STATES.items()),
        "rows": [(schedule, runs.get(schedule.run_id)) for schedule in shown],
        "query_string": filters.query_string,
        "place": request.GET.get("from", ""),
        "next_place": _place(shown[-1]) if len(page) > PAGE_SIZE else "",
        "total": total,
        "most_changed": MOST_CHANGED,
    }


def _page_of(found: QuerySet[Schedule], place: str, *, is_fired: bool) -> QuerySet[Schedule]:
    """Go on after the row that `place` names by its time and id."""
    sign, past = ("-", "lt") if is_fired else ("", "gt")
    text, _, last = place.rpartition("~")
    last_id = parse_id(last)
    try:
        at = datetime.fromisoformat(text) if last_id else None
    except ValueError:
        at = None
    if at is not None and at.tzinfo is not None:
        later = Q(**{f"trigger_at__{past}": at})
        found = found.filter(later | Q(trigger_at=at, **{f"id__{past}": last_id}))
    return found.order_by(f"{sign}trigger_at", f"{sign}id")


def _place(schedule: Schedule) -> str:
    return f"{schedule.trigger_at.isoformat()}~{schedule.id}"


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("schedule.create"))
def new(request: PageRequest) -> HttpResponse:
    asked = open_form(request)
    now = datetime.now(UTC)
    given = request.POST if request.method == "POST" else request.GET
    typed = {"at": given.get("at", moment_text(now + DEFAULT_DELAY))}
    if request.method != "POST":
        return _form(request, asked, typed)
    if "switch" in request.POST:
        switch_mode(asked, request)
        return _form(request, asked, typed)
    at, problem = parse_when(typed["at"], now)
    wanted = read_request(asked, request)
    if wanted is None or at is None:
        return _form(request, asked, typed | {"problem": problem}, status=422)
    try:
        made = sync_db.run(schedule_runs(request.tenant.id, wanted, [at], now))
    except HatchetError as error:
        asked.problems.append(str(error))
        return _form(request, asked, typed, status=422)
    messages.success(request, f"A run of {wanted.workflow_name} is scheduled.")
    return redirect("dashboard:schedule", request.tenant.slug, made.schedules[0][0])


def _form(
    request: PageRequest, asked: RunForm, typed: dict[str, str], status: int = 200
) -> HttpResponse:
    context = form_context(request, asked) | {"typed": typed, "now": datetime.now(UTC)}
    return render(request, "dashboard/schedules/new.html", context, status=status)


@tenant_page()
def detail(request: PageRequest, schedule_id: UUID) -> HttpResponse:
    schedule = _find(request, schedule_id)
    return _detail(request, schedule, {"at": moment_text(schedule.trigger_at)})


def _detail(
    request: PageRequest, schedule: Schedule, typed: dict[str, str], status: int = 200
) -> HttpResponse:
    found = with_small(_schedules(request), "additional_metadata", HEAD_BYTES)
    schedule = with_head(found, "input", HEAD_BYTES).get(id=schedule.id)
    given = show_json(
        getattr(schedule, "input_head", None), getattr(schedule, "input_length", None)
    )
    context = {
        "schedule": schedule,
        "typed": typed,
        "run": lean_runs().filter(id=schedule.run_id).first() if schedule.run_id else None,
        "input": given if request.access.can_view_payloads else None,
        "now": datetime.now(UTC),
    }
    return render(request, "dashboard/schedules/detail.html", context, status=status)


@tenant_page()
def download_input(request: PageRequest, schedule_id: UUID) -> HttpResponse:
    """The input exactly as stored."""
    if not request.access.can_view_payloads:
        raise Http404("payloads are hidden from this member")
    given = bytes(_find(request, schedule_id).input)
    return attachment(given, f"scheduled-{schedule_id}.json", "application/json")


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("schedule.update"))
def move(request: PageRequest, schedule_id: UUID) -> HttpResponse:
    schedule = _find(request, schedule_id)
    now = datetime.now(UTC)
    typed = {"at": request.POST.get("at", "")}
    at, problem = parse_when(typed["at"], now)
    if at is None:
        return _detail(request, schedule, typed | {"problem": problem}, status=422)
    outcome = sync_db.run(move_schedules(request.tenant.id, [(schedule.id, at)], now))
    for _, reason in outcome.refused:
        messages.error(request, reason)
    if outcome.changed:
        messages.success(request, "Scheduled run moved.")
    return redirect("dashboard:schedule", request.tenant.slug, schedule.id)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("schedule.run"))
def run_now(request: PageRequest, schedule_id: UUID) -> HttpResponse:
    schedule = _find(request, schedule_id)
    operation = run_schedule_now(request.tenant.id, schedule.id, datetime.now(UTC))
    try:
        with request.acting.on() as told:
            run_id = sync_db.run(operation)
            told["run"] = str(run_id)
    except HatchetError as error:
        messages.error(request, f"Nothing was started: {error}")
        return redirect("dashboard:schedule", request.tenant.slug, schedule.id)
    messages.success(request, f"Run of {schedule.workflow.name} started.")
    return redirect("dashboard:run", request.tenant.slug, run_id)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("schedule.delete"))
def delete(request: PageRequest) -> HttpResponse:
    """Delete those that were chosen in the list; ask first."""
    chosen = _choose(request)
    if not chosen.ids:
        return _nothing_chosen(request, chosen)
    if "confirmed" not in request.POST:
        return render(request, "dashboard/schedules/delete.html", {"chosen": chosen})
    outcome = sync_db.run(delete_schedules(request.tenant.id, chosen.ids))
    return _told(request, chosen, "deleted", outcome)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("schedule.update"))
def move_many(request: PageRequest) -> HttpResponse:
    """Give those that were chosen in the list one new time; ask for it first."""
    chosen = _choose(request)
    if not chosen.ids:
        return _nothing_chosen(request, chosen)
    now = datetime.now(UTC)
    typed = {"at": request.POST.get("at", "")}
    at, problem = parse_when(typed["at"], now) if "at" in request.POST else (None, "")
    if at is None:
        typed |= {"problem": problem, "at": typed["at"] or moment_text(now + DEFAULT_DELAY)}
        context = {"chosen": chosen, "typed": typed, "now": now}
        status = 422 if problem else 200
        return render(request, "dashboard/schedules/move.html", context, status=status)
    times = [(schedule_id, at) for schedule_id in chosen.ids]
    outcome = sync_db.run(move_schedules(request.tenant.id, times, now))
    return _told(request, chosen, "moved", outcome)


class Chosen(NamedTuple):
    """Which waiting runs of the list something is to be done to, and what the list was narrowed by."""

    ids: list[UUID]
    filters: ListFilters


def _choose(request: PageRequest) -> Chosen:
    """Take those that were ticked, or all that match the list's filters; of this tenant, waiting."""
    filters = parse_list_filters(request.POST, "meta")
    waiting = _schedules(request).filter(due_at__isnull=False)
    if request.POST.get("all"):
        waiting = _matching(request, filters).filter(due_at__isnull=False)
    else:
        ticked = [found for found in map(parse_id, request.POST.getlist("id")) if found]
        waiting = waiting.filter(id__in=ticked)
    found = waiting.order_by("trigger_at", "id").values_list("id", flat=True)
    return Chosen(list(found[:MOST_CHANGED]), filters)


def _nothing_chosen(request: PageRequest, chosen: Chosen) -> HttpResponse:
    messages.info(request, "Nothing to do: no waiting run was chosen.")
    return _to_list(request, chosen)


def _told(request: PageRequest, chosen: Chosen, what: str, outcome: Outcome) -> HttpResponse:
    if outcome.changed:
        messages.success(request, f"Scheduled runs {what}: {len(outcome.changed)}.")
    if outcome.refused:
        messages.info(request, f"Not {what}, as they have started: {len(outcome.refused)}.")
    return _to_list(request, chosen)


def _to_list(request: PageRequest, chosen: Chosen) -> HttpResponse:
    back = reverse("dashboard:schedules", args=[request.tenant.slug])
    return redirect(f"{back}?{chosen.filters.query_string}")


def _matching(request: PageRequest, filters: ListFilters) -> QuerySet[Schedule]:
    found = _schedules(request).filter(filters.metadata_condition())
    return found.filter(workflow_id=filters.workflow_id) if filters.workflow_id else found


def _schedules(request: PageRequest) -> QuerySet[Schedule]:
    schedules = Schedule.objects.filter(tenant=request.tenant, workflow__deleted_at__isnull=True)
    return schedules.select_related("workflow").defer("input", "additional_metadata")


def _find(request: PageRequest, schedule_id: UUID) -> Schedule:
    schedule = _schedules(request).filter(id=schedule_id).first()
    if schedule is None:
        raise Http404("no such scheduled run")
    return schedule
