"""Signing in and out, and what a browser remembers: the colour scheme."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dashboard.gate import LOST, ask_to_confirm, audited_page
from tenants import sign_in_limits
from tenants.access import accesses_of_user, may_enter
from tenants.audit.declared import TOLD_BY_SESSIONS, Unaudited
from tenants.installation import installation
from tenants.models import User
from tenants.people.register import may_sign_up
from tenants.sessions import end_session
from tenants.sign_in.enter import enter
from tenants.sign_in.identities import names_of_services
from tenants.sign_in.services import start_of

THEME_COOKIE = "theme"
THEMES = ("system", "light", "dark")
_YEAR_SECONDS = 365 * 24 * 3600
_MAX_EMAIL = 254
_MAX_PASSWORD = 1024


@audited_page(TOLD_BY_SESSIONS)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    wanted = safe_next(request)
    if request.method != "POST":
        if request.user.is_authenticated:
            return redirect(wanted)
        return render(
            request, "dashboard/account/sign_in.html", {"next": wanted, **_ways_in(wanted)}
        )
    if not installation().sign_in.by_password:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    email = request.POST.get("email", "").strip().lower()[: _MAX_EMAIL + 1]
    if not sign_in_limits.may_try(request, email):
        error, status = "Too many attempts. Wait five minutes and try again.", 429
    elif (user := _user_with(request, email, request.POST.get("password", ""))) is None:
        # One sentence for every reason: it must not tell which accounts exist.
        error, status = "This e-mail address and password do not match an account.", 422
    else:
        return enter(request, user, wanted)
    context = {"next": wanted, "email": email, "error": error, **_ways_in(wanted)}
    return render(request, "dashboard/account/sign_in.html", context, status=status)


def _ways_in(wanted: str) -> dict[str, object]:
    return {
        "by_password": installation().sign_in.by_password,
        "may_sign_up": may_sign_up(),
        "services": [
            (start_of(scheme, wanted), name) for scheme, name in names_of_services().items()
        ],
    }


def _user_with(request: HttpRequest, email: str, password: str) -> User | None:
    if "\0" in email or len(email) > _MAX_EMAIL or len(password) > _MAX_PASSWORD:
        return None
    return authenticate(request, username=email, password=password)


@audited_page(TOLD_BY_SESSIONS)
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    end_session(request)
    return redirect_to_login(safe_next(request), "dashboard:sign_in")


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Go to the first tenant the user may enter."""
    if not request.user.is_authenticated:
        return redirect("dashboard:sign_in")
    if not may_enter(request.user):
        return ask_to_confirm(request)
    if LOST in request.GET:
        messages.warning(
            request, "The tenant you had open is deleted, or you are no longer a member of it."
        )
        return redirect("dashboard:home")
    accesses = accesses_of_user(request.user)
    if not accesses:
        context = {"may_create_tenant": installation().people.allow_create_tenant}
        return render(request, "dashboard/account/no_tenant.html", context)
    return redirect("dashboard:tenant", accesses[0].tenant.slug)


@require_GET
def only_a_socket(request: HttpRequest, slug: str) -> HttpResponse:
    """The address of the live socket, asked for as a page."""
    return HttpResponse("This address is a WebSocket.", status=426, content_type="text/plain")


@audited_page(Unaudited("the browser alone remembers it"))
@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    theme = request.POST.get("theme", "system")
    response = redirect(safe_next(request))
    if theme in THEMES:
        response.set_cookie(
            THEME_COOKIE,
            theme,
            max_age=_YEAR_SECONDS,
            samesite="Lax",
            httponly=True,
            secure=settings.SESSION_COOKIE_SECURE,
        )
    return response


def safe_next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    is_safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return wanted if is_safe and wanted.startswith("/") else "/"
