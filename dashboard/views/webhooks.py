"""Webhooks: made with what their senders need, changed, deleted; and an inspector of what came."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import OuterRef, Q, Subquery
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters

from dashboard import webhook_form
from dashboard.delivery_words import words_of
from dashboard.gate import PageRequest, tenant_page
from dashboard.payloads import show_json
from dashboard.rendering import render_fragment
from dashboard.url_filters import parse_list_filters
from dashboard.webhook_form import AUTH_WORDS, WebhookForm
from engine.ids import id_at
from engine.models.run_queries import runs_of, with_attempt_times, with_workflow_names
from tenants.audit.declared import Acts, Changes
from tenants.models import Role
from webhooks.accept import deliver_again, try_out
from webhooks.changes import url_of
from webhooks.credentials import Algorithm, Encoding
from webhooks.encryption import SecretUnreadable
from webhooks.models import Delivery, Webhook
from webhooks.queries import deliveries_of
from webhooks.sources import all_sources

PAGE_SIZE = 25
_SHOWN = {
    "": ("All", Q()),
    "accepted": ("Accepted", Q(status__lt=400)),
    "refused": ("Refused", Q(status__gte=400)),
}
RUNS_SHOWN = 100


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return render(request, "dashboard/webhooks/index.html", _list_context(request))


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/webhooks/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    """All webhooks of the tenant, of which there are not many, with the last delivery of each."""
    last = deliveries_of(request.tenant.id).filter(webhook=OuterRef("id"))
    found = Webhook.objects.filter(tenant=request.tenant).defer("static_payload", "secret")
    webhooks = list(found.annotate(last_id=Subquery(last.values("id")[:1])).order_by("name"))
    wanted = deliveries_of(request.tenant.id).filter(id__in=[one.last_id for one in webhooks])
    latest = {one.webhook_id: one for one in wanted}
    return {"rows": [_row(webhook, latest.get(webhook.id)) for webhook in webhooks]}


def _row(webhook: Webhook, last: Delivery | None) -> dict[str, Any]:
    return {
        "webhook": webhook,
        "source": all_sources()[webhook.source_name].title,
        "last": last,
        "words": None if last is None else words_of(last.verdict),
    }


@sensitive_post_parameters("secret")
@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("webhook.create"))
def new(request: PageRequest) -> HttpResponse:
    """Show the form of a source; a POST makes the webhook and shows where to paste its URL."""
    if request.method != "POST":
        return _form_page(request, webhook_form.blank(request.GET.dict()))
    given = request.POST.dict()
    form = webhook_form.read(given)
    made = webhook_form.create(form, given, request.tenant.id, datetime.now(UTC))
    if made is None:
        return _form_page(request, form, status=422)
    messages.success(request, f"Webhook {made.name} made: give its URL to the sender.")
    return redirect("dashboard:webhook", request.tenant.slug, made.id)


def _form_page(request: PageRequest, form: WebhookForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "sources": sorted(all_sources().values(), key=lambda source: source.title),
        "auths": list(AUTH_WORDS.items()),
        "algorithms": list(Algorithm),
        "encodings": list(Encoding),
    }
    return render(request, "dashboard/webhooks/new.html", context, status=status)


@tenant_page()
def detail(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    webhook = _find(request, webhook_id)
    may_view = request.access.can_view_payloads
    return _detail_page(request, webhook, webhook_form.shown(webhook, may_view=may_view))


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("webhook.update"))
def change(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    webhook = _find(request, webhook_id)
    may_view = request.access.can_view_payloads
    form = webhook_form.change(webhook, request.POST.dict(), datetime.now(UTC), may_view=may_view)
    if form.problems:
        return _detail_page(request, webhook, form, status=422)
    messages.success(request, "Webhook changed.")
    return redirect("dashboard:webhook", request.tenant.slug, webhook.id)


def _detail_page(
    request: PageRequest, webhook: Webhook, form: WebhookForm, status: int = 200
) -> HttpResponse:
    context = _deliveries_context(request, webhook)
    context |= {"form": form, "url": url_of(webhook), "auth": AUTH_WORDS[form.auth_type]}
    return render(request, "dashboard/webhooks/detail.html", context, status=status)


@tenant_page()
def detail_live(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    context = _deliveries_context(request, _find(request, webhook_id))
    return render_fragment(request, "dashboard/webhooks/_deliveries.html", context)


def _deliveries_context(request: PageRequest, webhook: Webhook) -> dict[str, Any]:
    filters = parse_list_filters(request.GET, "show")
    found = deliveries_of(request.tenant.id).filter(webhook=webhook).defer("headers", "body")
    page, pager = filters.page_of_shown(found, _SHOWN, size=PAGE_SIZE)
    rows = [(delivery, words_of(delivery.verdict)) for delivery in page]
    return {
        "webhook": webhook,
        "rows": rows,
    } | pager


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("webhook.delete"))
def delete(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    """Ask first, then delete."""
    webhook = _find(request, webhook_id)
    if request.method != "POST":
        return render(request, "dashboard/webhooks/delete.html", {"webhook": webhook})
    webhook.delete()
    messages.success(request, f"Webhook {webhook.name} deleted.")
    return redirect("dashboard:webhooks", request.tenant.slug)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("webhook.test"))
def test(request: PageRequest, webhook_id: UUID) -> HttpResponse:
    """Deliver a sample, signed with the webhook's secret, and show what became of it."""
    webhook = _find(request, webhook_id)
    try:
        outcome = try_out(webhook, datetime.now(UTC))
    except SecretUnreadable as error:
        messages.error(request, f"Its secret cannot be read: {error}.")
        return redirect("dashboard:webhook", request.tenant.slug, webhook.id)
    if not Delivery.objects.filter(id=outcome.delivery_id).exists():
        messages.error(request, f"Not delivered: {outcome.error}.")
        return redirect("dashboard:webhook", request.tenant.slug, webhook.id)
    return redirect("dashboard:webhook_delivery", request.tenant.slug, outcome.delivery_id)


@tenant_page()
def delivery(request: PageRequest, delivery_id: UUID) -> HttpResponse:
    found = _find_delivery(request, delivery_id)
    context = _runs_context(request, found) | {
        "webhook": found.webhook,
        "words": words_of(found.verdict),
        "body": show_json(bytes(found.body), found.body_bytes),
    }
    return render(request, "dashboard/webhooks/delivery.html", context)


@tenant_page()
def delivery_live(request: PageRequest, delivery_id: UUID) -> HttpResponse:
    context = _runs_context(request, _find_delivery(request, delivery_id))
    return render_fragment(request, "dashboard/webhooks/_runs.html", context)


def _runs_context(request: PageRequest, found: Delivery) -> dict[str, Any]:
    runs = []
    if found.event_id is not None:
        # The event's id was made a moment after the delivery came.
        of_event = runs_of(request.tenant.id).filter(
            event_id=found.event_id, id__gte=id_at(found.received_at)
        )
        runs = list(with_attempt_times(with_workflow_names(of_event)).order_by("id")[:RUNS_SHOWN])
    return {"delivery": found, "runs": runs}


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("delivery.redeliver"))
def redeliver(request: PageRequest, delivery_id: UUID) -> HttpResponse:
    """Deliver it once more, as a new delivery."""
    found = _find_delivery(request, delivery_id)
    if not found.can_be_redelivered:
        request.acting.leave_out()
        messages.error(request, "Its sender is not known, or its body is not kept whole.")
        return redirect("dashboard:webhook_delivery", request.tenant.slug, found.id)
    outcome = deliver_again(found.webhook, found, datetime.now(UTC))
    if outcome.error:
        messages.error(request, f"Delivered again, and refused: {outcome.error}")
    else:
        messages.success(request, "Delivered again, as a new delivery.")
    return redirect("dashboard:webhook_delivery", request.tenant.slug, outcome.delivery_id)


def _find(request: PageRequest, webhook_id: UUID) -> Webhook:
    found = Webhook.objects.filter(tenant=request.tenant, id=webhook_id).first()
    if found is None:
        raise Http404("no such webhook")
    return found


def _find_delivery(request: PageRequest, delivery_id: UUID) -> Delivery:
    found = deliveries_of(request.tenant.id).defer(None).select_related("webhook")
    delivery = found.filter(id=delivery_id).first()
    if delivery is None:
        raise Http404("no such delivery")
    return delivery
