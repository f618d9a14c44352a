"""Events: what was pushed, what it started, why it started nothing; and pushing one by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard import trigger_form
from dashboard.event_effects import effects_of, with_counts
from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import HEAD_BYTES, SMALL_BYTES, download, show_stored
from dashboard.rendering import render_fragment
from dashboard.run_filters import DEFAULT_WINDOW, WINDOWS
from dashboard.run_form import PRIORITY_WORDS, workflow_choices
from dashboard.trigger_form import TriggerForm
from dashboard.url_filters import parse_list_filters
from engine.errors import HatchetError
from engine.ids import id_at
from engine.models.payload_queries import payload_head
from engine.models.runs import Event, Run
from engine.models.task_queries import payload
from engine.models.wide_columns import with_small
from engine.operations.push_events import push_events, replay_event
from engine.states import PayloadKind
from engine.store import sync_db
from engine.types import EventInput
from tenants.audit.declared import DATA_PLANE
from tenants.models import Role
from webhooks.queries import webhook_names

PAGE_SIZE = 50
MAX_KEY = 1_000


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    context = _list_context(request) | {
        "windows": [(key, label) for key, (label, _) in WINDOWS.items()],
        "workflows": workflow_choices(request),
    }
    return render(request, "dashboard/events/index.html", context)


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/events/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    filters = parse_list_filters(request.GET, "key", "scope", "meta", default_window=DEFAULT_WINDOW)
    found = Event.objects.filter(tenant_id=request.tenant.id)
    since = filters.since(datetime.now(UTC))
    if since is not None:
        found = found.filter(id__gte=id_at(since))
    for name in ("key", "scope"):
        if filters.text(name):
            found = found.filter(**{name: filters.text(name)})
    found = found.filter(filters.metadata_condition())
    if filters.workflow_id:
        started = Run.objects.filter(event_id=OuterRef("id"), workflow_id=filters.workflow_id)
        found = found.filter(Exists(started))
    page, pager = filters.page(
        with_small(found, "additional_metadata", SMALL_BYTES), size=PAGE_SIZE
    )
    return {
        "rows": with_counts(page),
        "default_window": DEFAULT_WINDOW,
    } | pager


@tenant_page()
def detail(request: PageRequest, event_id: UUID) -> HttpResponse:
    event = _find(request, event_id)
    context = effects_of(event) | {
        "given": None,
        "webhook_name": webhook_names([event.id]).get(event.id),
    }
    if request.access.can_view_payloads:
        context["given"] = show_stored(*payload_head(event.id, PayloadKind.EVENT, HEAD_BYTES))
    return render(request, "dashboard/events/detail.html", context)


@tenant_page()
def detail_live(request: PageRequest, event_id: UUID) -> HttpResponse:
    context = effects_of(_find(request, event_id))
    return render_fragment(request, "dashboard/events/_runs.html", context)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=DATA_PLANE)
def push(request: PageRequest) -> HttpResponse:
    """Show the form; a POST stores the event and starts what listens for it."""
    filled = trigger_form.blank(None, wants_raw=True)
    typed = {"key": request.GET.get("key", ""), "scope": request.GET.get("scope", "")}
    if request.method != "POST":
        return _push_form(request, filled, typed)
    typed = {name: request.POST.get(name, "").strip() for name in typed}
    typed["problem"] = _key_problem(typed)
    data = trigger_form.read_input(filled, request.POST)
    metadata = trigger_form.read_metadata(filled, request.POST)
    priority = trigger_form.read_priority(filled, request.POST)
    if typed["problem"] or not filled.is_good:
        return _push_form(request, filled, typed, status=422)
    event = EventInput(typed["key"], data, metadata, priority, typed["scope"] or None)
    operation = push_events(request.tenant.id, [event], datetime.now(UTC))
    try:
        [record] = sync_db.run(operation)
    except HatchetError as error:
        filled.problems.append(str(error))
        return _push_form(request, filled, typed, status=422)
    messages.success(request, f"Event {typed['key']} pushed.")
    return redirect("dashboard:event", request.tenant.slug, record.event_id)


def _key_problem(typed: dict[str, str]) -> str:
    if not typed["key"]:
        return "Give the event a key, such as user:created."
    if max(map(len, typed.values())) > MAX_KEY or "\0" in typed["key"] + typed["scope"]:
        return f"Key and scope have at most {MAX_KEY} characters each and no NUL."
    return ""


def _push_form(
    request: PageRequest, filled: TriggerForm, typed: dict[str, str], status: int = 200
) -> HttpResponse:
    context = {"form": filled, "typed": typed, "priorities": PRIORITY_WORDS, "max_key": MAX_KEY}
    return render(request, "dashboard/events/push.html", context, status=status)


@tenant_page("POST", needs=Role.MEMBER, audits=DATA_PLANE)
def replay(request: PageRequest, event_id: UUID) -> HttpResponse:
    """Push the event once more, as a new one."""
    event = _find(request, event_id)
    try:
        record = sync_db.run(replay_event(request.tenant.id, event.id, datetime.now(UTC)))
    except HatchetError as error:
        messages.error(request, f"Nothing was pushed: {error}")
        return redirect("dashboard:event", request.tenant.slug, event.id)
    messages.success(request, "Event pushed once more, as a new one.")
    return redirect("dashboard:event", request.tenant.slug, record.event_id)


@tenant_page()
def download_payload(request: PageRequest, event_id: UUID) -> HttpResponse:
    """The event's payload exactly as stored."""
    event = _find(request, event_id)
    stored = payload(event.id, PayloadKind.EVENT).first()
    if stored is None or not request.access.can_view_payloads:
        raise Http404("no such payload")
    return download(stored.data, f"event-{event.id}.json", "application/json")


def _find(request: PageRequest, event_id: UUID) -> Event:
    events = with_small(Event.objects.all(), "additional_metadata", HEAD_BYTES)
    event = events.filter(tenant_id=request.tenant.id, id=event_id).first()
    if event is None:
        raise Http404("no such event")
    return event
