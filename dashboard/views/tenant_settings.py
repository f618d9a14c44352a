"""A tenant itself: made, renamed, left, archived, deleted."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify

from dashboard.gate import OwnRequest, PageRequest, ask_to_confirm, own_page, tenant_page
from dashboard.refusals import explain
from tenants.access import may_enter
from tenants.audit.declared import Changes
from tenants.installation import installation
from tenants.models import Role
from tenants.people import tenants
from tenants.people.members import leave_tenant
from tenants.people.refusals import Refused


@own_page("GET", "HEAD", "POST", audits=Changes("tenant.create"))
def new(request: OwnRequest) -> HttpResponse:
    """Show the form; a POST makes a tenant that its maker owns."""
    if not may_enter(request.user):
        return ask_to_confirm(request)
    name, slug = request.POST.get("name", ""), request.POST.get("slug", "").strip()
    context: dict[str, Any] = {
        "name": name,
        "slug": slug,
        "is_allowed": installation().people.allow_create_tenant,
    }
    if request.method != "POST":
        return render(request, "dashboard/settings/new.html", context)
    try:
        wanted = slug or slugify(name)[: tenants.LONGEST_SLUG].strip("-")
        tenant = tenants.create_tenant(request.user, name=name, slug=wanted)
    except Refused as refused:
        context["error"], status = explain(refused)
        return render(request, "dashboard/settings/new.html", context, status=status)
    messages.success(request, f"{tenant.name} is made, and you are its owner.")
    return redirect("dashboard:tenant", tenant.slug)


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return _show(request, request.tenant.name)


@tenant_page("POST", needs=Role.MEMBER, audits=Changes("tenant.update"))
def rename(request: PageRequest) -> HttpResponse:
    name = request.POST.get("name", "")
    try:
        tenants.rename_tenant(request.access, name)
    except Refused as refused:
        error, status = explain(refused)
        return _show(request, name, error=error, status=status)
    messages.success(request, "The tenant is renamed.")
    return redirect("dashboard:settings", request.tenant.slug)


def _show(request: PageRequest, name: str, *, error: str = "", status: int = 200) -> HttpResponse:
    context = {"name": name, "error": error, "is_owner": request.access.includes(Role.OWNER)}
    return render(request, "dashboard/settings/index.html", context, status=status)


@tenant_page("GET", "HEAD", "POST", of_archived=True, audits=Changes("member.leave"))
def leave(request: PageRequest) -> HttpResponse:
    """Ask first, then end the reader's own membership."""
    if request.method != "POST":
        return render(request, "dashboard/settings/leave.html")
    try:
        leave_tenant(request.access)
    except Refused as refused:
        error, status = explain(refused)
        return render(request, "dashboard/settings/leave.html", {"error": error}, status=status)
    messages.success(request, f"You left {request.tenant.name}.")
    return redirect("dashboard:home")


@tenant_page("POST", needs=Role.OWNER, of_archived=True, audits=Changes("tenant.archive"))
def archive(request: PageRequest) -> HttpResponse:
    """Put the tenant to rest, or wake it."""
    try:
        if request.POST.get("archived") == "yes":
            tenants.archive_tenant(request.access)
            messages.success(request, "The tenant is archived.")
        elif request.POST.get("archived") == "no":
            tenants.unarchive_tenant(request.access)
            messages.success(request, "The tenant is taken out of the archive.")
    except Refused as refused:
        messages.error(request, explain(refused)[0])
    return redirect("dashboard:settings", request.tenant.slug)


@tenant_page(
    "GET", "HEAD", "POST", needs=Role.OWNER, of_archived=True, audits=Changes("tenant.delete")
)
def delete(request: PageRequest) -> HttpResponse:
    """Ask for the slug, then delete the tenant and all that is in it."""
    if request.method != "POST":
        return render(request, "dashboard/settings/delete.html")
    name = request.tenant.name
    try:
        tenants.delete_tenant(request.access, request.POST.get("confirm", "").strip())
    except Refused as refused:
        error, status = explain(refused)
        if refused.field == "confirm":
            error = "That is not the slug of this tenant."
        return render(request, "dashboard/settings/delete.html", {"error": error}, status=status)
    messages.success(request, f"{name} is deleted.")
    return redirect("dashboard:home")
