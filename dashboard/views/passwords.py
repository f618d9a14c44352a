"""A new password: for who knows the present one, and by mail for who forgot it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.gate import OwnRequest, actor_of_page, audited_page, own_page
from dashboard.views.own_account import may_change_password, render_account
from tenants import mail, passwords, sign_in_limits
from tenants.audit.declared import SENDS_MAIL, Changes
from tenants.audit.recording import recorded_changes
from tenants.installation import installation
from tenants.passwords import PasswordRefused

CHANGE = Changes("user.change_password", in_parts=True)
RESET = Changes("user.reset_password", in_parts=True)
_TOO_MANY = "Too many attempts. Wait five minutes and try again."
_DIFFERENT = "The two new passwords differ."
_MAX_EMAIL = 254


@sensitive_post_parameters("old", "new", "again")
@own_page("POST", audits=CHANGE)
def change(request: OwnRequest) -> HttpResponse:
    if not may_change_password():
        return render_account(request, status=403)
    new, again = request.POST.get("new", ""), request.POST.get("again", "")
    try:
        if not sign_in_limits.may_try(request, request.user.email):
            return render_account(request, problems=[_TOO_MANY], status=429)
        if new != again:
            raise PasswordRefused(_DIFFERENT)
        with recorded_changes(CHANGE, actor_of_page(request), None):
            passwords.change(request, request.user, request.POST.get("old", ""), new)
    except PasswordRefused as refused:
        return render_account(request, problems=refused.sentences, status=422)
    messages.success(request, "Your password is changed. All other sessions are signed out.")
    return redirect("dashboard:account")


@audited_page(SENDS_MAIL)
@require_http_methods(["GET", "HEAD", "POST"])
def forgot(request: HttpRequest) -> HttpResponse:
    """Answer the same for every address, known or not."""
    if not installation().sign_in.by_password:
        return redirect("dashboard:sign_in")
    email = request.POST.get("email", "").strip().lower()[: _MAX_EMAIL + 1]
    context = {"sends_mail": mail.is_configured(), "email": email}
    if request.method != "POST" or not mail.is_configured():
        return render(request, "dashboard/account/forgot.html", context)
    if not mail.is_address(email):
        context["error"] = "This is no e-mail address."
        return render(request, "dashboard/account/forgot.html", context, status=422)
    if not sign_in_limits.may_ask(request, "reset"):
        context["error"] = _TOO_MANY
        return render(request, "dashboard/account/forgot.html", context, status=429)
    if sign_in_limits.may_be_mailed("reset", email):
        passwords.send_reset(email, lambda code: _address("dashboard:password_reset", code))
    context["is_sent"] = True
    return render(request, "dashboard/account/forgot.html", context)


@audited_page(RESET)
@sensitive_post_parameters("new", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def reset(request: HttpRequest, code: str) -> HttpResponse:
    """Show the form of a link; looking at it does not use it up, as programs look at mail before people do."""
    if not sign_in_limits.may_ask(request, "link"):
        return render(request, "dashboard/account/reset.html", status=429)
    owner = passwords.user_of_reset(code)
    if owner is None:
        return render(request, "dashboard/account/reset.html", status=404)
    if request.method != "POST":
        return render(request, "dashboard/account/reset.html", {"owner": owner})
    new, again = request.POST.get("new", ""), request.POST.get("again", "")
    try:
        if new != again:
            raise PasswordRefused(_DIFFERENT)
        with recorded_changes(RESET, actor_of_page(request), None):
            is_reset = passwords.reset(code, new)
        if not is_reset:
            return render(request, "dashboard/account/reset.html", status=404)
    except PasswordRefused as refused:
        context = {"owner": owner, "problems": refused.sentences}
        return render(request, "dashboard/account/reset.html", context, status=422)
    messages.success(request, "Your password is saved. Sign in with it.")
    return redirect("dashboard:sign_in")


def _address(name: str, code: str) -> str:
    """Of our own site as it is configured: what a request calls it may be made up."""
    return installation().server_url + reverse(name, args=[code])
