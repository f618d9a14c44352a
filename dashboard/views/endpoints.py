"""Endpoints of outgoing webhooks: made, changed, tried, paused, deleted; and what was sent to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from dashboard import endpoint_form
from dashboard.delivery_words import words_of_dispatch, words_of_endpoint
from dashboard.endpoint_form import EndpointForm
from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import show_json
from dashboard.rendering import render_fragment
from dashboard.run_form import workflow_choices
from dashboard.url_filters import parse_list_filters
from tenants.audit.declared import Acts, Changes
from tenants.models import Role
from webhooks.models import Dispatch, DispatchState, Endpoint, Message
from webhooks.outgoing import changes
from webhooks.outgoing.kinds import KINDS
from webhooks.outgoing.queries import dispatches_to, endpoints_of, find_endpoint
from webhooks.outgoing.signing import name_of

PAGE_SIZE = 25
_SHOWN = {
    "": ("All", Q()),
    "waiting": ("Waiting", Q(state=DispatchState.PENDING)),
    "failed": ("Given up", Q(state=DispatchState.FAILED)),
}


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return render(request, "dashboard/endpoints/index.html", _list_context(request))


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/endpoints/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    """All endpoints of the tenant, of which there are few, with what waits and what was given up."""
    found = list(endpoints_of(request.tenant.id))
    unsent = Dispatch.objects.filter(endpoint_id__in=[one.id for one in found])
    counts = {
        row["endpoint_id"]: row
        for row in unsent.exclude(state=DispatchState.DELIVERED)
        .order_by()
        .values("endpoint_id")
        .annotate(
            waiting=Count("id", filter=Q(state=DispatchState.PENDING)),
            failed=Count("id", filter=Q(state=DispatchState.FAILED)),
        )
    }
    rows: list[tuple[Any, ...]] = [
        (one, words_of_endpoint(one), counts.get(one.id, {})) for one in found
    ]
    return {"rows": rows, "may_manage": request.access.includes(Role.ADMIN)}


@never_cache
@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("endpoint.create"))
def new(request: PageRequest) -> HttpResponse:
    """Show the form; a POST makes the endpoint and shows its secret, the only time it is seen."""
    if request.method != "POST":
        return _form_page(request, EndpointForm())
    form = endpoint_form.read(request.POST)
    made = endpoint_form.create(form, request.tenant.id, datetime.now(UTC))
    if made is None:
        return _form_page(request, form, status=422)
    endpoint, secret = made
    context = {"endpoint": endpoint, "secret": secret}
    return render(request, "dashboard/endpoints/secret.html", context)


def _form_page(request: PageRequest, form: EndpointForm, status: int = 200) -> HttpResponse:
    context = _form_context(request, form)
    return render(request, "dashboard/endpoints/new.html", context, status=status)


def _form_context(request: PageRequest, form: EndpointForm) -> dict[str, Any]:
    return {"form": form, "kinds": list(KINDS.values()), "workflows": workflow_choices(request)}


@tenant_page()
def detail(request: PageRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find(request, endpoint_id)
    return _detail_page(request, endpoint, endpoint_form.shown(endpoint))


def _detail_page(
    request: PageRequest, endpoint: Endpoint, form: EndpointForm, status: int = 200
) -> HttpResponse:
    context = _messages_context(request, endpoint) | _form_context(request, form)
    return render(request, "dashboard/endpoints/detail.html", context, status=status)


@tenant_page()
def detail_live(request: PageRequest, endpoint_id: UUID) -> HttpResponse:
    context = _messages_context(request, _find(request, endpoint_id))
    return render_fragment(request, "dashboard/endpoints/_messages.html", context)


def _messages_context(request: PageRequest, endpoint: Endpoint) -> dict[str, Any]:
    filters = parse_list_filters(request.GET, "show")
    found = dispatches_to(endpoint).defer("log")
    page, pager = filters.page_of_shown(found, _SHOWN, size=PAGE_SIZE)
    wanted = Message.objects.filter(message_id__in=[one.message_id for one in page])
    known = {one.message_id: one for one in wanted.defer("body")}
    rows = [(one, known.get(one.message_id), words_of_dispatch(one)) for one in page]
    return {
        "endpoint": endpoint,
        "words": words_of_endpoint(endpoint),
        "may_manage": request.access.includes(Role.ADMIN),
        "rows": rows,
    } | pager


@tenant_page("POST", needs=Role.ADMIN, audits=Changes("endpoint.update"))
def change(request: PageRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find(request, endpoint_id)
    form = endpoint_form.read(request.POST)
    if not endpoint_form.change(endpoint, form, datetime.now(UTC)):
        return _detail_page(request, _find(request, endpoint_id), form, status=422)
    messages.success(request, "Endpoint changed.")
    return _to(request, endpoint)


@tenant_page("POST", needs=Role.ADMIN, audits=Changes("endpoint.pause"))
def pause(request: PageRequest, endpoint_id: UUID) -> HttpResponse:
    """Pause it, or go on, as the form says."""
    endpoint = _find(request, endpoint_id)
    is_paused = request.POST.get("pause") == "yes"
    changes.set_paused(endpoint, is_paused=is_paused, now=datetime.now(UTC))
    said = "Paused: what happens is kept for it." if is_paused else "Resumed."
    messages.success(request, said)
    return _to(request, endpoint)


@never_cache
@tenant_page("POST", needs=Role.ADMIN, audits=Changes("endpoint.rotate_secret"))
def rotate(request: PageRequest, endpoint_id: UUID) -> HttpResponse:
    """Change the secret and show it, the only time it is seen."""
    endpoint = _find(request, endpoint_id)
    secret = changes.rotate_secret(endpoint, datetime.now(UTC))
    context = {"endpoint": endpoint, "secret": secret, "is_rotated": True}
    return render(request, "dashboard/endpoints/secret.html", context)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("endpoint.test"))
def test(request: PageRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find(request, endpoint_id)
    made = changes.try_endpoint(endpoint, datetime.now(UTC))
    if endpoint.pause_reason:
        messages.info(request, "A test message waits: the endpoint is paused.")
    return redirect("dashboard:webhook_message", request.tenant.slug, endpoint.id, made)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("endpoint.redeliver_failed"))
def send_failed_again(request: PageRequest, endpoint_id: UUID) -> HttpResponse:
    endpoint = _find(request, endpoint_id)
    count = changes.send_failed_again(endpoint, 0, datetime.now(UTC))
    messages.success(request, f"{count} messages are sent once more.")
    return _to(request, endpoint)


@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("endpoint.delete"))
def delete(request: PageRequest, endpoint_id: UUID) -> HttpResponse:
    """Ask first, then delete."""
    endpoint = _find(request, endpoint_id)
    if request.method != "POST":
        return render(request, "dashboard/endpoints/delete.html", {"endpoint": endpoint})
    changes.delete_endpoint(endpoint)
    messages.success(request, "Endpoint deleted.")
    return redirect("dashboard:webhook_endpoints", request.tenant.slug)


@tenant_page()
def message(request: PageRequest, endpoint_id: UUID, dispatch_id: UUID) -> HttpResponse:
    context = _message_context(request, endpoint_id, dispatch_id)
    body = bytes(context["message"].body)
    context |= {
        "body": show_json(body, len(body)),
        "webhook_id": name_of(context["sent"].message_id),
    }
    return render(request, "dashboard/endpoints/message.html", context)


@tenant_page()
def message_live(request: PageRequest, endpoint_id: UUID, dispatch_id: UUID) -> HttpResponse:
    context = _message_context(request, endpoint_id, dispatch_id)
    return render_fragment(request, "dashboard/endpoints/_attempts.html", context)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("message.redeliver"))
def send_again(request: PageRequest, endpoint_id: UUID, dispatch_id: UUID) -> HttpResponse:
    sent = _find_sent(_find(request, endpoint_id), dispatch_id)
    changes.send_again(sent, datetime.now(UTC))
    messages.success(request, "It is sent once more.")
    return redirect("dashboard:webhook_message", request.tenant.slug, endpoint_id, sent.id)


def _message_context(request: PageRequest, endpoint_id: UUID, dispatch_id: UUID) -> dict[str, Any]:
    endpoint = _find(request, endpoint_id)
    sent = _find_sent(endpoint, dispatch_id)
    found = Message.objects.filter(message_id=sent.message_id).first()
    if found is None:
        raise Http404("no such message")
    attempts = [
        entry | {"moment": datetime.fromisoformat(entry["at"])} for entry in reversed(sent.log)
    ]
    return {
        "endpoint": endpoint,
        "sent": sent,
        "message": found,
        "attempts": attempts,
        "words": words_of_dispatch(sent),
    }


def _to(request: PageRequest, endpoint: Endpoint) -> HttpResponse:
    return redirect("dashboard:webhook_endpoint", request.tenant.slug, endpoint.id)


def _find(request: PageRequest, endpoint_id: UUID) -> Endpoint:
    found = find_endpoint(request.tenant.id, endpoint_id)
    if found is None:
        raise Http404("no such endpoint")
    return found


def _find_sent(endpoint: Endpoint, dispatch_id: UUID) -> Dispatch:
    found = dispatches_to(endpoint).filter(id=dispatch_id).first()
    if found is None:
        raise Http404("no such message")
    return found
