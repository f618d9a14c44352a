"""Rules of alerts: made, changed, silenced, deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard import alert_forms
from dashboard.alert_forms import RuleForm
from dashboard.alert_words import words_of_rule
from dashboard.gate import PageRequest, tenant_page
from dashboard.run_form import workflow_choices
from dashboard.views.alerts import SILENCES, silence_of
from tenants.audit.declared import Changes
from tenants.models import Role
from webhooks.alerts import changes
from webhooks.alerts.kinds import KINDS, STATUSES
from webhooks.alerts.queries import channels_of, find_rule, rules_of
from webhooks.models import AlertRule


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    now = datetime.now(UTC)
    rows = [
        (rule, KINDS[rule.kind], words_of_rule(rule, now)) for rule in rules_of(request.tenant.id)
    ]
    context = {"rows": rows, "kinds": list(KINDS.values())}
    return render(request, "dashboard/alerts/rules.html", context)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("alert_rule.create"))
def new(request: PageRequest) -> HttpResponse:
    """Show the form of the kind that was chosen; a POST makes the rule."""
    kind = KINDS.get(request.GET.get("kind", ""))
    if kind is None:
        context: dict[str, Any] = {"kinds": list(KINDS.values())}
        return render(request, "dashboard/alerts/rule_kinds.html", context)
    if request.method != "POST":
        return _form_page(request, alert_forms.blank_rule(kind))
    form = alert_forms.read_rule(kind, request.POST)
    if alert_forms.save_rule(form, request.tenant.id, datetime.now(UTC)) is None:
        return _form_page(request, form, status=422)
    messages.success(request, "Rule made: it is looked at from now on.")
    return redirect("dashboard:alert_rules", request.tenant.slug)


@tenant_page()
def detail(request: PageRequest, rule_id: UUID) -> HttpResponse:
    rule = _find(request, rule_id)
    return _form_page(request, alert_forms.shown_rule(rule), rule=rule)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("alert_rule.update"))
def change(request: PageRequest, rule_id: UUID) -> HttpResponse:
    rule = _find(request, rule_id)
    form = alert_forms.read_rule(KINDS[rule.kind], request.POST)
    if alert_forms.save_rule(form, request.tenant.id, datetime.now(UTC), rule) is None:
        return _form_page(request, form, rule=_find(request, rule_id), status=422)
    messages.success(request, "Rule changed.")
    return redirect("dashboard:alert_rule", request.tenant.slug, rule.id)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("alert_rule.silence"))
def silence(request: PageRequest, rule_id: UUID) -> HttpResponse:
    rule, seconds = _find(request, rule_id), silence_of(request)
    changes.silence_rule(rule, seconds, datetime.now(UTC))
    messages.success(request, "Silenced." if seconds else "No longer silenced.")
    return redirect("dashboard:alert_rule", request.tenant.slug, rule.id)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("alert_rule.delete"))
def delete(request: PageRequest, rule_id: UUID) -> HttpResponse:
    """Ask first, then delete."""
    rule = _find(request, rule_id)
    if request.method != "POST":
        return render(request, "dashboard/alerts/rule_delete.html", {"rule": rule})
    changes.delete_rule(rule, datetime.now(UTC))
    messages.success(request, "Rule deleted.")
    return redirect("dashboard:alert_rules", request.tenant.slug)


def _form_page(
    request: PageRequest, form: RuleForm, *, rule: AlertRule | None = None, status: int = 200
) -> HttpResponse:
    now = datetime.now(UTC)
    context = {
        "form": form,
        "rule": rule,
        "words": None if rule is None else words_of_rule(rule, now),
        "is_silenced": rule is not None
        and rule.silenced_until is not None
        and rule.silenced_until > now,
        "silences": SILENCES,
        "statuses": list(STATUSES),
        "workflows": workflow_choices(request) if form.kind.selects_runs else [],
        "channels": list(channels_of(request.tenant.id)),
    }
    return render(request, "dashboard/alerts/rule.html", context, status=status)


def _find(request: PageRequest, rule_id: UUID) -> AlertRule:
    found = find_rule(request.tenant.id, rule_id)
    if found is None:
        raise Http404("no such rule")
    return found
