"""Channels by which people are told of alerts: made, tried, paused, deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from dashboard import alert_forms
from dashboard.alert_forms import ChannelForm, addresses_in
from dashboard.alert_words import KINDS, words_of_channel, words_of_sent
from dashboard.gate import PageRequest, tenant_page
from dashboard.refusals import sentence_of
from dashboard.rendering import render_fragment
from engine.errors import HatchetError
from tenants import mail
from tenants.audit.declared import Acts, Changes
from tenants.models import Role
from webhooks.alert_models import ChannelKind
from webhooks.alerts import slack
from webhooks.alerts.channel_changes import delete_channel, try_channel, update_channel
from webhooks.alerts.queries import channels_of, find_channel, last_tests
from webhooks.models import AlertChannel


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    start = f"/api/v1/tenants/{request.tenant.id}/slack/start" if slack.app() else ""
    context = _list_context(request) | {"slack_start": start}
    return render(request, "dashboard/alerts/channels.html", context)


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/alerts/_channels.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    channels = list(channels_of(request.tenant.id))
    tests = last_tests(channels)
    rows = [
        (
            channel,
            KINDS[ChannelKind(channel.kind)],
            words_of_channel(channel),
            words_of_sent(tests[channel.id]) if channel.id in tests else None,
        )
        for channel in channels
    ]
    return {
        "rows": rows,
        "kinds": [(kind.value, words) for kind, words in KINDS.items()],
        "may_manage": request.access.includes(Role.ADMIN)
        and request.access.tenant.archived_at is None,
    }


@never_cache
@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("alert_channel.create"))
def new(request: PageRequest) -> HttpResponse:
    """Show the form of a kind; a POST makes the channel."""
    wanted = request.GET.get("kind", "")
    if wanted not in ChannelKind.__members__:
        raise Http404("no such kind of channel")
    kind = ChannelKind(wanted)
    if request.method != "POST":
        return _form_page(request, ChannelForm(kind))
    form = alert_forms.read_channel(kind, request.POST)
    secret = request.POST.get("secret", "")
    if alert_forms.create(form, secret, request.tenant.id, datetime.now(UTC)) is None:
        return _form_page(request, form, status=422)
    messages.success(request, "Channel made. Send a test to see whether it works.")
    return redirect("dashboard:alert_channels", request.tenant.slug)


def _form_page(request: PageRequest, form: ChannelForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "kind": form.kind.value,
        "words": KINDS[form.kind],
        "sends_mail": mail.is_configured(),
    }
    return render(request, "dashboard/alerts/channel_new.html", context, status=status)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("alert_channel.test"))
def test(request: PageRequest, channel_id: UUID) -> HttpResponse:
    channel = _find(request, channel_id)
    try:
        try_channel(channel, datetime.now(UTC))
        messages.success(request, f"A test is on its way to {channel.name}.")
    except HatchetError as error:
        messages.error(request, sentence_of(error))
    return _to_list(request)


@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("alert_channel.update"))
def change(request: PageRequest, channel_id: UUID) -> HttpResponse:
    """Show the form; a POST changes the name, the addresses, and whether it is paused."""
    channel = _find(request, channel_id)
    given = request.POST
    problem = ""
    if request.method == "POST":
        is_group = channel.kind == ChannelKind.EMAIL
        try:
            update_channel(
                channel,
                datetime.now(UTC),
                name=given.get("name", ""),
                emails=addresses_in(given.get("emails", "")) if is_group else None,
                is_paused=given.get("paused") == "yes",
            )
        except HatchetError as error:
            problem = sentence_of(error)
        else:
            messages.success(request, "Channel changed.")
            return _to_list(request)
    context = {
        "channel": channel,
        "words": KINDS[ChannelKind(channel.kind)],
        "problem": problem,
        "name": given.get("name", channel.name),
        "emails": given.get("emails", "\n".join(channel.settings.get("emails", ()))),
    }
    return render(request, "dashboard/alerts/channel.html", context, status=422 if problem else 200)


@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("alert_channel.delete"))
def delete(request: PageRequest, channel_id: UUID) -> HttpResponse:
    """Ask first, then delete."""
    channel = _find(request, channel_id)
    if request.method != "POST":
        return render(request, "dashboard/alerts/channel_delete.html", {"channel": channel})
    delete_channel(channel)
    messages.success(request, "Channel deleted.")
    return _to_list(request)


def _to_list(request: PageRequest) -> HttpResponse:
    return redirect("dashboard:alert_channels", request.tenant.slug)


def _find(request: PageRequest, channel_id: UUID) -> AlertChannel:
    found = find_channel(request.tenant.id, channel_id)
    if found is None:
        raise Http404("no such channel")
    return found
