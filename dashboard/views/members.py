"""Members of a tenant: who they are, what they may do, removing them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard import rights_form
from dashboard.gate import PageRequest, tenant_page
from dashboard.refusals import explain
from dashboard.rendering import render_fragment
from dashboard.rights_form import RightsForm
from tenants.audit.declared import Changes
from tenants.models import Member, Role
from tenants.people import members
from tenants.people.changing import may_grant
from tenants.people.invites import pending_invites
from tenants.people.refusals import Refused

MOST_SHOWN = 200
LONGEST_SEARCH = 254


@tenant_page(needs=Role.ADMIN)
def index(request: PageRequest) -> HttpResponse:
    return render(request, "dashboard/members/index.html", _list_context(request))


@tenant_page(needs=Role.ADMIN)
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/members/_list.html", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    """The first of the members and invites that the search, if there is one, finds."""
    search = request.GET.get("search", "").replace("\0", "").strip()[:LONGEST_SEARCH]
    found = Member.objects.filter(tenant=request.tenant).select_related("user")
    invites = pending_invites(request.tenant)
    if search:
        found = found.filter(Q(user__email__icontains=search) | Q(user__name__icontains=search))
        invites = invites.filter(email__icontains=search)
    shown = list(found.order_by("created_at", "id")[: MOST_SHOWN + 1])
    invited = list(invites[: MOST_SHOWN + 1])
    return {
        "members": shown[:MOST_SHOWN],
        "invites": invited[:MOST_SHOWN],
        "is_cut": max(len(shown), len(invited)) > MOST_SHOWN,
        "search": search,
        "query": urlencode({"search": search}) if search else "",
    }


@tenant_page(
    "GET", "HEAD", "POST", needs=Role.ADMIN, of_archived=True, audits=Changes("member.update")
)
def detail(request: PageRequest, member_id: UUID) -> HttpResponse:
    """Show what a member may do; a POST changes it."""
    member = _find(request, member_id)
    locked = _why_locked(request, member)
    form, error, status = RightsForm(Role(member.role), member.can_view_payloads), "", 200
    if request.method == "POST":
        try:
            form = rights_form.read(request.POST.dict())
            members.update_member(
                request.access,
                member.id,
                role=form.role,
                can_view_payloads=form.can_view_payloads,
            )
        except Refused as refused:
            error, status = explain(refused)
        else:
            messages.success(
                request, f"{member.user.email} is {form.role.lower()} of this tenant now."
            )
            return redirect("dashboard:members", request.tenant.slug)
    context = {
        "member": member,
        "error": error,
        "may_remove": request.access.includes(Role.OWNER) and not _is_own(request, member),
        **form.context(request.access.role, locked),
    }
    return render(request, "dashboard/members/detail.html", context, status=status)


def _why_locked(request: PageRequest, member: Member) -> str:
    if _is_own(request, member):
        return "This is you, and nobody changes their own role."
    if not may_grant(request.access.role, Role(member.role)):
        return "Only an owner changes who is owner."
    return ""


@tenant_page(
    "GET", "HEAD", "POST", needs=Role.OWNER, of_archived=True, audits=Changes("member.delete")
)
def remove(request: PageRequest, member_id: UUID) -> HttpResponse:
    """Ask first, then remove."""
    member = _find(request, member_id)
    context: dict[str, Any] = {"member": member}
    if request.method != "POST":
        return render(request, "dashboard/members/remove.html", context)
    try:
        members.remove_member(request.access, member.id)
    except Refused as refused:
        context["error"], status = explain(refused)
        return render(request, "dashboard/members/remove.html", context, status=status)
    messages.success(request, f"{member.user.email} is no longer a member.")
    return redirect("dashboard:members", request.tenant.slug)


def _is_own(request: PageRequest, member: Member) -> bool:
    return member.user_id == request.user.pk


def _find(request: PageRequest, member_id: UUID) -> Member:
    found = Member.objects.filter(tenant=request.tenant, id=member_id).select_related("user")
    member = found.first()
    if member is None:
        raise Http404("no such member")
    return member
