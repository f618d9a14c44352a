"""Passkeys: made and removed on one's own account, and used on the page of signing in."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from dashboard.gate import OwnRequest, audited_page, own_page
from dashboard.views.account import safe_next
from tenants import passwords, sign_in_limits
from tenants.audit.declared import TOLD_BY_SESSIONS, Acts
from tenants.sign_in import passkeys, second_factor
from tenants.sign_in.enter import complete

_TOO_MANY = "Too many attempts. Wait five minutes and try again."
_JSON = "application/json"


@require_GET
def options_to_sign_in(request: HttpRequest) -> HttpResponse:
    if not sign_in_limits.may_ask(request, "passkey"):
        return HttpResponse(status=429)
    return HttpResponse(passkeys.options_to_sign_in(request), content_type=_JSON)


@audited_page(TOLD_BY_SESSIONS)
@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    user = passkeys.user_of(request, request.POST.get("credential", ""))
    if user is None:
        messages.error(request, "This passkey is not of an account here, or it took too long.")
        return redirect("dashboard:sign_in")
    return complete(request, user, safe_next(request))


@own_page("GET")
def options_to_add(request: OwnRequest) -> HttpResponse:
    return HttpResponse(passkeys.options_to_add(request, request.user), content_type=_JSON)


@sensitive_post_parameters("password", "code")
@own_page("GET", "HEAD", "POST", audits=Acts("passkey.create"))
def add(request: OwnRequest) -> HttpResponse:
    """Who is only at the browser cannot make a passkey to come back with."""
    if request.method != "POST":
        return _page(request)
    name = request.POST.get("name", "").strip()
    if not sign_in_limits.may_try_code(request.user.email):
        return _page(request, error=_TOO_MANY, status=429)
    if not _is_oneself(request):
        return _page(request, error="That is not your password or code.", status=422)
    if not passkeys.add(request, request.user, name, request.POST.get("credential", "")):
        return _page(request, error="The passkey could not be added. Try again.", status=422)
    messages.success(request, f"You can sign in with the passkey “{name}” now.")
    return redirect("dashboard:account")


def _is_oneself(request: OwnRequest) -> bool:
    user = request.user
    if second_factor.is_set_up(user):
        return second_factor.check(user, request.POST.get("code", ""))
    return not user.has_usable_password() or passwords.is_of(user, request.POST.get("password", ""))


def _page(request: OwnRequest, *, error: str = "", status: int = 200) -> HttpResponse:
    context = {
        "error": error,
        "name": request.POST.get("name", ""),
        "is_set_up": second_factor.is_set_up(request.user),
        "has_password": request.user.has_usable_password(),
    }
    return render(request, "dashboard/account/passkey_new.html", context, status=status)


@own_page("POST", audits=Acts("passkey.delete"))
def remove(request: OwnRequest, passkey_id: int) -> HttpResponse:
    if not passkeys.remove(request.user, passkey_id):
        raise Http404("no such passkey")
    messages.success(request, "The passkey is removed.")
    return redirect("dashboard:account")
