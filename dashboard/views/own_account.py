"""The signed-in person's own page: password and sessions, and confirming their address."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from dashboard.gate import OwnRequest, audited_page, own_page
from tenants import confirmation, mail, sessions, sign_in_limits
from tenants.audit.declared import SENDS_MAIL, Acts, Changes
from tenants.installation import installation
from tenants.sign_in import passkeys, second_factor
from tenants.sign_in.identities import identities_of


@own_page("GET", "HEAD")
def account(request: OwnRequest) -> HttpResponse:
    return render_account(request)


def render_account(
    request: OwnRequest, *, problems: Sequence[str] = (), status: int = 200
) -> HttpResponse:
    context = {
        "sessions": sessions.open_sessions(request.user),
        "has_password": request.user.has_usable_password(),
        "may_change_password": may_change_password(),
        "is_set_up": second_factor.is_set_up(request.user),
        "passkeys": passkeys.passkeys_of(request.user),
        "identities": identities_of(request.user),
        "sends_mail": mail.is_configured(),
        "problems": problems,
    }
    return render(request, "dashboard/account/index.html", context, status=status)


def may_change_password() -> bool:
    here = installation()
    return here.sign_in.by_password and here.people.allow_change_password


@own_page("POST", audits=Acts("session.end"))
def end_session(request: OwnRequest, session_id: UUID) -> HttpResponse:
    if not sessions.end_session_of(request.user, session_id):
        raise Http404("no such session")
    messages.success(request, "That session is signed out.")
    return redirect("dashboard:account")


@own_page("POST", audits=Acts("session.end_others"))
def end_other_sessions(request: OwnRequest) -> HttpResponse:
    sessions.end_sessions(request.user, but=request.session.session_key)
    messages.success(request, "All your other sessions are signed out.")
    return redirect("dashboard:account")


@audited_page(Changes("user.confirm_email"))
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, code: str) -> HttpResponse:
    """Confirm by a button: programs follow the links of mails before people do."""
    if request.method == "POST" and confirmation.confirm(code):
        messages.success(request, "Your e-mail address is confirmed.")
        return redirect("dashboard:home")
    is_good = confirmation.is_of_somebody(code)
    status = 200 if is_good else 404
    return render(request, "dashboard/account/confirm.html", {"is_good": is_good}, status=status)


@own_page("POST", audits=SENDS_MAIL)
def send_confirmation(request: OwnRequest) -> HttpResponse:
    user = request.user
    if not user.is_email_verified and sign_in_limits.may_be_mailed("confirm", user.email):
        confirmation.send_confirmation(user)
    messages.success(request, "The message is on its way.")
    return redirect("dashboard:home")
