"""Filters: which events start a workflow; made, tried out, changed and deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard.filter_form import FilterForm, read_filter_form, shown_filter, try_out
from dashboard.gate import PageRequest, tenant_page
from dashboard.run_form import chosen_workflow, workflow_choices
from dashboard.url_filters import parse_list_filters
from engine.errors import HatchetError
from engine.models.filters import Filter
from engine.operations.change_filters import create_filter, delete_filter, update_filter
from engine.store import sync_db
from tenants.audit.declared import ONLY_READS, Changes
from tenants.models import Role

PAGE_SIZE = 50


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    filters = parse_list_filters(request.GET, "scope")
    found = _filters(request)
    if filters.workflow_id:
        found = found.filter(workflow_id=filters.workflow_id)
    if filters.text("scope"):
        found = found.filter(scope=filters.text("scope"))
    page, pager = filters.page(found.defer("payload"), size=PAGE_SIZE)
    context = {"found": page, "workflows": workflow_choices(request)} | pager
    return render(request, "dashboard/filters/index.html", context)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("filter.create"))
def new(request: PageRequest) -> HttpResponse:
    """Show the form; a POST tries the expression out or makes the filter."""
    given = request.POST if request.method == "POST" else request.GET
    workflow = chosen_workflow(request, given.get("workflow", ""))
    form = read_filter_form(given, request.tenant.id)
    context = {"workflow": workflow, "workflows": workflow_choices(request)}
    if request.method != "POST":
        form.wrong.clear()  # nobody has typed anything yet
        return _page(request, form, context)
    if "try" in request.POST:
        try_out(form, request.tenant.id)
        return _page(request, form, context)
    if workflow is None:
        form.problems.append("Choose a workflow.")
    if workflow is None or not form.is_good:
        return _page(request, form, context, status=422)
    operation = create_filter(request.tenant.id, workflow.id, form.wanted(), datetime.now(UTC))
    try:
        filter_id = sync_db.run(operation)
    except HatchetError as error:
        form.problems.append(str(error))
        return _page(request, form, context, status=422)
    messages.success(request, f"Filter for {workflow.name} made.")
    return redirect("dashboard:filter", request.tenant.slug, filter_id)


@tenant_page("GET", "HEAD", "POST", audits=ONLY_READS)
def detail(request: PageRequest, filter_id: UUID) -> HttpResponse:
    """One filter in its form. Trying it out changes nothing, so whoever may look may do it."""
    found = _find(request, filter_id)
    may_view = request.access.can_view_payloads
    form = shown_filter(found, may_view=may_view)
    context: dict[str, Any] = {"found": found, "workflow": found.workflow}
    if request.method == "POST":
        form = read_filter_form(request.POST, request.tenant.id)
        if not may_view:
            form.payload = bytes(found.payload).decode()
        try_out(form, request.tenant.id)
        form.payload = form.payload if may_view else ""
    return _page(request, form, context)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("filter.update"))
def change(request: PageRequest, filter_id: UUID) -> HttpResponse:
    found = _find(request, filter_id)
    form = read_filter_form(request.POST, request.tenant.id)
    context: dict[str, Any] = {"found": found, "workflow": found.workflow}
    if not form.is_good:
        return _page(request, form, context, status=422)
    wanted = form.wanted()
    operation = update_filter(
        request.tenant.id,
        found.id,
        scope=wanted.scope,
        expression=wanted.expression,
        # Who may not see the payload did not mean to replace it.
        payload=wanted.payload if request.access.can_view_payloads else None,
        now=datetime.now(UTC),
    )
    try:
        sync_db.run(operation)
    except HatchetError as error:
        form.problems.append(str(error))
        return _page(request, form, context, status=422)
    messages.success(request, "Filter changed.")
    return redirect("dashboard:filter", request.tenant.slug, found.id)


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("filter.delete"))
def delete(request: PageRequest, filter_id: UUID) -> HttpResponse:
    """Ask first, then delete."""
    found = _find(request, filter_id)
    if request.method != "POST":
        return render(request, "dashboard/filters/delete.html", {"found": found})
    sync_db.run(delete_filter(request.tenant.id, found.id))
    messages.success(request, "Filter deleted.")
    return redirect("dashboard:filters", request.tenant.slug)


def _page(
    request: PageRequest, form: FilterForm, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    return render(request, "dashboard/filters/form.html", {"form": form, **context}, status=status)


def _filters(request: PageRequest) -> QuerySet[Filter]:
    filters = Filter.objects.filter(tenant=request.tenant, workflow__deleted_at__isnull=True)
    return filters.select_related("workflow")


def _find(request: PageRequest, filter_id: UUID) -> Filter:
    found = _filters(request).filter(id=filter_id).first()
    if found is None:
        raise Http404("no such filter")
    return found
