"""Invites as a tenant's admins see them: made, given a new link, revoked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render

from dashboard import rights_form
from dashboard.gate import PageRequest, tenant_page
from dashboard.refusals import explain
from dashboard.rights_form import RightsForm
from tenants import mail
from tenants.audit.declared import Changes
from tenants.models import Role, TenantInvite
from tenants.people import invites
from tenants.people.invites import MadeInvite
from tenants.people.refusals import Refused


@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("invite.create"))
def new(request: PageRequest) -> HttpResponse:
    """Show the form; a POST makes the invite and, once, its link if it was not mailed."""
    form, error, status = RightsForm(), "", 200
    if request.method == "POST":
        try:
            form = rights_form.read(request.POST.dict())
            made = invites.create_invite(
                request.access,
                email=request.POST.get("email", ""),
                role=form.role,
                can_view_payloads=form.can_view_payloads,
            )
        except Refused as refused:
            error, status = explain(refused)
        else:
            return _show(request, made)
    context = {
        "email": request.POST.get("email", ""),
        "error": error,
        "sends_mail": mail.is_configured(),
        **form.context(request.access.role),
    }
    return render(request, "dashboard/invites/new.html", context, status=status)


@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("invite.renew"))
def renew(request: PageRequest, invite_id: UUID) -> HttpResponse:
    """Ask first, then make another link; the one before leads nowhere from then on."""
    invite = _find(request, invite_id)
    context: dict[str, Any] = {"invite": invite}
    if request.method != "POST":
        return render(request, "dashboard/invites/renew.html", context)
    try:
        return _show(request, invites.renew_invite(request.access, invite.id))
    except Refused as refused:
        context["error"], status = explain(refused)
        return render(request, "dashboard/invites/renew.html", context, status=status)


def _show(request: PageRequest, made: MadeInvite) -> HttpResponse:
    """Show a link in the answer itself, the only time it is seen; what was mailed is nobody else's."""
    if made.link is None:
        messages.success(request, f"The invite is sent to {made.invite.email}.")
        return redirect("dashboard:members", request.tenant.slug)
    context = {"invite": made.invite, "link": made.link}
    return render(request, "dashboard/invites/made.html", context)


@tenant_page(
    "GET", "HEAD", "POST", needs=Role.ADMIN, of_archived=True, audits=Changes("invite.delete")
)
def revoke(request: PageRequest, invite_id: UUID) -> HttpResponse:
    """Ask first, then revoke."""
    invite = _find(request, invite_id)
    if request.method != "POST":
        return render(request, "dashboard/invites/revoke.html", {"invite": invite})
    try:
        invites.withdraw_invite(request.access, invite.id)
    except Refused as refused:
        messages.error(request, explain(refused)[0])
    else:
        messages.success(request, f"The invite for {invite.email} is revoked.")
    return redirect("dashboard:members", request.tenant.slug)


def _find(request: PageRequest, invite_id: UUID) -> TenantInvite:
    invite = invites.pending_invites(request.tenant).filter(id=invite_id).first()
    if invite is None:
        raise Http404("no such invite")
    return invite
