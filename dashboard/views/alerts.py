"""Alerts: what is wrong now and what was; what the tenant is alerted of; one alert and who was told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard.alert_words import EVENTS, words_of_alert, words_of_sent
from dashboard.gate import PageRequest, actor_of_page, tenant_page
from dashboard.refusals import explain, sentence_of
from dashboard.rendering import render_fragment
from dashboard.url_filters import parse_list_filters
from engine.errors import HatchetError
from tenants import mail
from tenants.audit.declared import Acts, Changes
from tenants.models import Role
from tenants.people.alert_settings import change_alerts
from tenants.people.refusals import Refused
from webhooks.alert_models import AlertEvent
from webhooks.alerts import changes
from webhooks.alerts.queries import alerts_of, channels_of, find_alert, notifications_of
from webhooks.models import Alert

PAGE_SIZE = 25
MOST_SENT = 50
SILENCES = (("3600", "1 hour"), ("28800", "8 hours"), ("86400", "1 day"), ("604800", "1 week"))
"""In seconds, as forms send them, and in words."""
FREQUENCIES = (
    ("300", "5 minutes"),
    ("900", "15 minutes"),
    ("3600", "1 hour"),
    ("21600", "6 hours"),
    ("86400", "1 day"),
)


@dataclass(frozen=True, slots=True)
class _Settings:
    alerts_members: bool
    alerts_of_failures: bool
    alerts_of_tokens: bool
    alerts_of_limits: bool
    frequency: str | None


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return _index_page(request)


def _index_page(request: PageRequest, *, error: str = "", status: int = 200) -> HttpResponse:
    seconds = str(request.tenant.alert_frequency_seconds)
    known = dict(FREQUENCIES)
    context = _list_context(request) | {
        "error": error,
        "frequencies": [*FREQUENCIES, *([] if seconds in known else [(seconds, f"{seconds} s")])],
        "frequency": seconds,
        "sends_mail": mail.is_configured(),
        "has_channels": channels_of(request.tenant.id).exists(),
    }
    return render(request, "dashboard/alerts/index.html", context, status=status)


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/alerts/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    filters = parse_list_filters(request.GET, "show")
    show, now = filters.text("show"), datetime.now(UTC)
    is_open = {"": True, "ended": False}.get(show)
    page, pager = filters.page(alerts_of(request.tenant.id, is_open=is_open), size=PAGE_SIZE)
    return pager | {"show": show, "rows": [(alert, words_of_alert(alert, now)) for alert in page]}


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("tenant.update"))
def settings(request: PageRequest) -> HttpResponse:
    """Change what the tenant itself is alerted of."""
    given = request.POST
    seconds = given.get("frequency", "")
    wanted = _Settings(
        alerts_members=given.get("members") == "yes",
        alerts_of_failures=given.get("failures") == "yes",
        alerts_of_tokens=given.get("tokens") == "yes",
        alerts_of_limits=given.get("limits") == "yes",
        frequency=f"{seconds}s" if seconds else None,
    )
    try:
        change_alerts(request.access, wanted)
    except Refused as refused:
        error, status = explain(refused)
        return _index_page(request, error=error, status=status)
    messages.success(request, "Saved.")
    return redirect("dashboard:alerts", request.tenant.slug)


@tenant_page()
def detail(request: PageRequest, alert_id: UUID) -> HttpResponse:
    return render(request, "dashboard/alerts/detail.html", _context(request, alert_id))


@tenant_page()
def detail_live(request: PageRequest, alert_id: UUID) -> HttpResponse:
    context = _context(request, alert_id)
    return render_fragment(request, "dashboard/alerts/_detail.html", context)


def _context(request: PageRequest, alert_id: UUID) -> dict[str, Any]:
    alert, now = _find(request, alert_id), datetime.now(UTC)
    names = {channel.id: channel.name for channel in channels_of(request.tenant.id)}
    sent = [
        (
            one,
            one.address or names.get(one.channel_id or alert.id, "a channel that is gone"),
            EVENTS[AlertEvent(one.event)],
            words_of_sent(one),
        )
        for one in notifications_of(alert)[:MOST_SENT]
    ]
    return {
        "alert": alert,
        "words": words_of_alert(alert, now),
        "is_silenced": alert.silenced_until is not None and alert.silenced_until > now,
        "silences": SILENCES,
        "sent": sent,
    }


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("alert.acknowledge"))
def acknowledge(request: PageRequest, alert_id: UUID) -> HttpResponse:
    alert = _find(request, alert_id)
    try:
        changes.acknowledge(alert, actor_of_page(request).name, datetime.now(UTC))
        messages.success(request, "Acknowledged: nothing more is told of it but its end.")
    except HatchetError as error:
        messages.error(request, sentence_of(error))
    return redirect("dashboard:alert", request.tenant.slug, alert.id)


@tenant_page("POST", needs=Role.MEMBER, audits=Acts("alert.silence"))
def silence(request: PageRequest, alert_id: UUID) -> HttpResponse:
    alert, seconds = _find(request, alert_id), silence_of(request)
    try:
        changes.silence_alert(alert, seconds, datetime.now(UTC))
        messages.success(request, "Silenced." if seconds else "No longer silenced.")
    except HatchetError as error:
        messages.error(request, sentence_of(error))
    return redirect("dashboard:alert", request.tenant.slug, alert.id)


def silence_of(request: PageRequest) -> int:
    """For how many seconds something is to be silent; nothing that was not offered."""
    wanted = request.POST.get("seconds", "")
    return int(wanted) if wanted in dict(SILENCES) else 0


def _find(request: PageRequest, alert_id: UUID) -> Alert:
    found = find_alert(request.tenant.id, alert_id)
    if found is None:
        raise Http404("no such alert")
    return found
