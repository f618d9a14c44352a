"""The second factor: asked for at a sign-in, and set up, renewed and removed on one's own account."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from dashboard.gate import OwnRequest, audited_page, own_page
from tenants import passwords, sign_in_limits
from tenants.audit.declared import TOLD_BY_SESSIONS, Acts
from tenants.audit.sessions import code_was_wrong
from tenants.sign_in import second_factor
from tenants.sign_in.enter import complete, pending

_TOO_MANY = "Too many attempts. Wait five minutes and try again."
_WRONG = "This code is wrong, was used already, or the clock of your device is off."
_WRONG_PASSWORD = "Your password is wrong."
_SECRET = "new_second_factor"


@audited_page(TOLD_BY_SESSIONS)
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """The page between the password and the session."""
    half = pending(request)
    if half is None:
        return redirect("dashboard:sign_in")
    context = {"email": half.user.email}
    if request.method != "POST":
        return render(request, "dashboard/account/code.html", context)
    if not sign_in_limits.may_try_code(half.user.email):
        context["error"], status = _TOO_MANY, 429
    elif second_factor.check(half.user, request.POST.get("code", "")):
        return complete(request, half.user, half.wanted)
    else:
        code_was_wrong(request, half.user.email)
        context["error"], status = _WRONG, 422
    return render(request, "dashboard/account/code.html", context, status=status)


@sensitive_post_parameters("code", "password")
@own_page("GET", "HEAD", "POST", audits=Acts("user.change_second_factor"))
def manage(request: OwnRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request)
    if not sign_in_limits.may_try_code(request.user.email):
        return _page(request, error=_TOO_MANY, status=429)
    if second_factor.is_set_up(request.user):
        return _change(request)
    return _set_up(request)


def _set_up(request: OwnRequest) -> HttpResponse:
    user = request.user
    if user.has_usable_password() and not passwords.is_of(user, request.POST.get("password", "")):
        return _page(request, error=_WRONG_PASSWORD, status=422)
    secret = request.session.get(_SECRET, "")
    codes = second_factor.set_up(user, secret, request.POST.get("code", ""))
    if codes is None:
        return _page(request, error=_WRONG, status=422)
    del request.session[_SECRET]
    return render(request, "dashboard/account/two_factor.html", {"new_codes": "\n".join(codes)})


def _change(request: OwnRequest) -> HttpResponse:
    """Both need a code: whoever has only the browser can do neither."""
    if not second_factor.check(request.user, request.POST.get("code", "")):
        return _page(request, error=_WRONG, status=422)
    if request.POST.get("action") == "codes":
        codes = second_factor.new_recovery_codes(request.user)
        return render(request, "dashboard/account/two_factor.html", {"new_codes": "\n".join(codes)})
    second_factor.remove(request.user)
    messages.success(request, "Your second factor is removed.")
    return redirect("dashboard:account")


def _page(request: OwnRequest, *, error: str = "", status: int = 200) -> HttpResponse:
    user = request.user
    context: dict[str, object] = {"error": error, "is_set_up": second_factor.is_set_up(user)}
    if context["is_set_up"]:
        context["codes_left"] = second_factor.recovery_codes_left(user)
    else:
        # The same key until it is set up: a wrong code must not make what was scanned useless.
        secret = request.session.setdefault(_SECRET, second_factor.new_secret())
        context |= {
            "secret": secret,
            "qr_code": second_factor.qr_code(user, secret),
            "has_password": user.has_usable_password(),
        }
    return render(request, "dashboard/account/two_factor.html", context, status=status)
