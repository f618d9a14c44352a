"""Joining tenants: an account of one's own, and invites as the invited see them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.gate import OwnRequest, actor_of_page, audited_page, own_page
from dashboard.refusals import explain
from tenants import sign_in_limits
from tenants.api.users import PASSWORD_BACKEND
from tenants.audit.declared import Changes
from tenants.audit.recording import recorded_changes
from tenants.models import Member, TenantInvite, User
from tenants.people import accepting
from tenants.people.refusals import Refused
from tenants.people.register import Registration, may_sign_up, register

REGISTER = Changes("user.register", in_parts=True)
TOO_MANY = "Too many attempts. Wait five minutes and try again."


@audited_page(REGISTER)
@sensitive_post_parameters("password", "invite")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Make an account and sign in to it; with the link of an invite, also join its tenant."""
    given = request.POST if request.method == "POST" else request.GET
    link = given.get("invite", "")
    invite = _invite_of(link) if link else None
    if link and invite is None:
        return _show_invite(request, None)
    if request.user.is_authenticated:
        return redirect("dashboard:invite_link", link) if link else redirect("dashboard:home")
    context = {
        "link": link,
        "invite": invite,
        "is_open": invite is not None or may_sign_up(),
        "email": invite.email if invite else given.get("email", ""),
        "name": given.get("name", ""),
    }
    if request.method != "POST":
        return render(request, "dashboard/account/sign_up.html", context)
    email = given.get("email", "").strip().lower()
    if not sign_in_limits.may_register(request, email):
        context["error"] = TOO_MANY
        return render(request, "dashboard/account/sign_up.html", context, status=429)
    try:
        registration = Registration(
            email=email,
            name=given.get("name", ""),
            password=given.get("password", ""),
            link=link,
        )
        with recorded_changes(REGISTER, actor_of_page(request), None):
            user = register(registration)
    except Refused as refused:
        context["error"], status = explain(refused)
        return render(request, "dashboard/account/sign_up.html", context, status=status)
    return _welcome(request, user, invite)


def _welcome(request: HttpRequest, user: User, invite: TenantInvite | None) -> HttpResponse:
    login(request, user, PASSWORD_BACKEND)
    if invite is None:
        return redirect("dashboard:home")
    messages.success(request, f"Welcome to {invite.tenant.name}.")
    return redirect("dashboard:tenant", invite.tenant.slug)


@audited_page(Changes("invite.answer"))
@require_http_methods(["GET", "HEAD", "POST"])
def invite_link(request: HttpRequest, link: str) -> HttpResponse:
    """Show what a link offers to whoever holds it; the person it is for accepts or rejects by a POST."""
    invite = _invite_of(link)
    if request.method != "POST" or invite is None or not request.user.is_authenticated:
        return _show_invite(request, invite, link)
    try:
        if request.POST.get("answer") == "accept":
            return _enter(request, accepting.accept_link(request.user, link))
        if request.POST.get("answer") == "reject":
            accepting.reject_link(request.user, link)
            messages.success(request, f"You rejected the invite to {invite.tenant.name}.")
            return redirect("dashboard:home")
    except Refused as refused:
        messages.error(request, explain(refused)[0])
    return _show_invite(request, _invite_of(link), link, status=422)


@own_page("GET", "HEAD")
def own_invites(request: OwnRequest) -> HttpResponse:
    context = {"invites": accepting.invites_for(request.user)}
    return render(request, "dashboard/invites/own.html", context)


@own_page("POST", audits=Changes("invite.answer"))
def answer_invite(request: OwnRequest, invite_id: UUID) -> HttpResponse:
    try:
        if request.POST.get("answer") == "accept":
            return _enter(request, accepting.accept_invite(request.user, invite_id))
        if request.POST.get("answer") == "reject":
            accepting.reject_invite(request.user, invite_id)
            messages.success(request, "The invite is rejected.")
    except Refused as refused:
        messages.error(request, explain(refused)[0])
    return redirect("dashboard:own_invites")


def _enter(request: HttpRequest, member: Member) -> HttpResponse:
    messages.success(request, f"Welcome to {member.tenant.name}.")
    return redirect("dashboard:tenant", member.tenant.slug)


def _invite_of(link: str) -> TenantInvite | None:
    try:
        return accepting.invite_of_link(link)
    except Refused:
        return None


def _show_invite(
    request: HttpRequest, invite: TenantInvite | None, link: str = "", *, status: int = 200
) -> HttpResponse:
    context: dict[str, Any] = {
        "invite": invite,
        "link": link,
        "is_own": isinstance(request.user, User) and invite and invite.email == request.user.email,
    }
    shown_status = status if invite else 404
    return render(request, "dashboard/invites/link.html", context, status=shown_status)
