"""Errors: failures that are the same in one line, what is to be done about them, and doing it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render

from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import HEAD_BYTES, show_text
from dashboard.rendering import render_fragment
from dashboard.run_form import workflow_choices
from dashboard.sparkline import hours_before, sparkline
from dashboard.url_filters import parse_id
from engine.errors import NotFound
from engine.models import BulkAction, ErrorGroup
from engine.models.error_queries import (
    Place,
    failed_runs,
    groups_of,
    hourly,
    in_state,
    latest_groups,
    number_by_state,
    shares,
    state_of,
)
from engine.models.payload_queries import payload_head
from engine.models.run_queries import runs_of, with_attempt_times, with_workflow_names
from engine.operations.change_error_groups import assign_error_group, set_error_state
from engine.states import ErrorState, PayloadKind
from engine.store import sync_db
from tenants.audit.declared import Acts
from tenants.models import Member, Role

PAGE_SIZE = 50
SHARES_SHOWN, RUNS_SHOWN = 20, 20
HOURS_IN_LIST, HOURS_SHOWN = 24, 7 * 24
STATES = {state.name.lower(): state for state in ErrorState}
MUTES = {
    "hour": ("for an hour", timedelta(hours=1)),
    "day": ("for a day", timedelta(days=1)),
    "week": ("for a week", timedelta(days=7)),
    "ever": ("until somebody opens it", None),
}


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    context = _list_context(request) | {"workflows": workflow_choices(request)}
    return render(request, "dashboard/failures/index.html", context)


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/failures/_list.html", _list_context(request))


@tenant_page()
def number(request: PageRequest) -> HttpResponse:
    """How many kinds of errors are open, for the navigation."""
    open_groups = ErrorGroup.objects.filter(tenant_id=request.tenant.id)
    count = open_groups.filter(in_state(ErrorState.OPEN, datetime.now(UTC))).count()
    return render_fragment(request, "dashboard/failures/_number.html", {"number": count})


def _list_context(request: PageRequest) -> dict[str, Any]:
    now = datetime.now(UTC)
    state = request.GET.get("state", "open")
    state = state if state in STATES else "open"
    workflow_id = parse_id(request.GET.get("workflow", ""))
    groups = groups_of(request.tenant.id).filter(in_state(STATES[state], now))
    if workflow_id is not None:
        groups = groups.filter(workflow_id=workflow_id)
    before = _place(request.GET.get("before", ""))
    page, has_more = latest_groups(groups, before, PAGE_SIZE)
    hours = hours_before(now, HOURS_IN_LIST)
    counts = hourly([group.id for group in page], hours[0])
    kept = {"state": state} | ({"workflow": str(workflow_id)} if workflow_id else {})
    last = page[-1] if page else None
    return {
        "rows": [(group, sparkline(counts[group.id], hours)) for group in page],
        "state": state,
        "workflow_id": workflow_id,
        "is_first_page": before is None,
        "tabs": _tabs(number_by_state(request.tenant.id, now, workflow_id), state, workflow_id),
        "query_string": urlencode(kept | ({"before": request.GET["before"]} if before else {})),
        "first": urlencode(kept),
        "older": urlencode(kept | {"before": f"{last.last_seen_at.isoformat()}_{last.id}"})
        if last and has_more
        else None,
    }


def _tabs(
    counts: dict[str, int], state: str, workflow_id: UUID | None
) -> list[tuple[str, int, bool, str]]:
    kept = {"workflow": str(workflow_id)} if workflow_id else {}
    return [
        (name.capitalize(), counts[name], name == state, urlencode({"state": name} | kept))
        for name in STATES
    ]


def _place(text: str) -> Place | None:
    moment, _, group_id = text.partition("_")
    try:
        at = datetime.fromisoformat(moment)
        return Place(at if at.tzinfo else at.replace(tzinfo=UTC), UUID(group_id))
    except ValueError:
        return None


@tenant_page()
def detail(request: PageRequest, group_id: UUID) -> HttpResponse:
    context = _group_context(request, group_id)
    members = Member.objects.filter(tenant=request.tenant).select_related("user")
    context |= {
        "members": [
            (member.user_id, member.user.email) for member in members.order_by("user__email")
        ],
        "mutes": [(name, words) for name, (words, _) in MUTES.items()],
    }
    return render(request, "dashboard/failures/detail.html", context)


@tenant_page()
def detail_live(request: PageRequest, group_id: UUID) -> HttpResponse:
    context = _group_context(request, group_id)
    return render_fragment(request, "dashboard/failures/_group.html", context)


def _group_context(request: PageRequest, group_id: UUID) -> dict[str, Any]:
    now = datetime.now(UTC)
    group = find_group(request, group_id)
    hours = hours_before(now, HOURS_SHOWN)
    runs = with_attempt_times(with_workflow_names(runs_of(request.tenant.id)))
    shown = runs.filter(id__in=failed_runs(group.id, RUNS_SHOWN)).defer("additional_metadata")
    error = payload_head(group.task_id, PayloadKind.ERROR, HEAD_BYTES, attempt=group.retry_count)
    return {
        "group": group,
        "state": state_of(group, now).name.lower(),
        "line": sparkline(hourly([group.id], hours[0])[group.id], hours, width=700, height=60),
        "versions": shares(group.id, "version", SHARES_SHOWN),
        "workers": shares(group.id, "worker", SHARES_SHOWN),
        "runs": list(shown.order_by("-id")),
        "sample": show_text(*error),
        "action": _last_action(group),
    }


def _last_action(group: ErrorGroup) -> BulkAction | None:
    """The last replay of the group that was started."""
    actions = BulkAction.objects.filter(tenant_id=group.tenant_id, error_group_id=group.id)
    return actions.filter(started_at__isnull=False).order_by("-id").first()


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("error.state"))
def change_state(request: PageRequest, group_id: UUID) -> HttpResponse:
    """Resolve, mute for a time, or open again."""
    find_group(request, group_id)
    wanted, now = request.POST.get("state", ""), datetime.now(UTC)
    length = MUTES.get(request.POST.get("for", "ever"))
    if wanted not in STATES or length is None:
        return HttpResponseBadRequest("no such state")
    state = STATES[wanted]
    until = now + length[1] if state is ErrorState.MUTED and length[1] else None
    operation = set_error_state(request.tenant.id, group_id, state, now, muted_until=until)
    with request.acting.on() as told:
        _do(lambda: sync_db.run(operation))
        told.update({"state": wanted, "until": until.isoformat() if until else None})
    words = {
        ErrorState.OPEN: "Open again.",
        ErrorState.RESOLVED: "Resolved. It is opened again if it comes back.",
        ErrorState.MUTED: f"Muted {length[0]}.",
    }
    messages.success(request, words[state])
    return redirect("dashboard:error", request.tenant.slug, group_id)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("error.assign"))
def assign(request: PageRequest, group_id: UUID) -> HttpResponse:
    find_group(request, group_id)
    text = request.POST.get("member", "")
    user_id = parse_id(text)
    if text and user_id is None:
        return HttpResponseBadRequest("no such member")
    with request.acting.on() as told:
        _do(lambda: sync_db.run(assign_error_group(request.tenant.id, group_id, user_id)))
        told["assignee"] = text or None
    messages.success(request, "Assigned." if text else "Assigned to nobody.")
    return redirect("dashboard:error", request.tenant.slug, group_id)


def _do(change: Any) -> None:
    try:
        change()
    except NotFound as error:
        raise Http404(str(error)) from error


def find_group(request: PageRequest, group_id: UUID) -> ErrorGroup:
    groups: QuerySet[ErrorGroup] = groups_of(request.tenant.id)
    group = groups.filter(id=group_id).first()
    if group is None:
        raise Http404("no such group of errors")
    return group
