"""How a request enters a tenant's pages: signed in, a member, and with a role that allows it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from tenants import mail
from tenants.access import TenantAccess, accesses_of_user, may_enter
from tenants.models import Role, Tenant, User
from tenants.sessions import note_seen

P = ParamSpec("P")
LOST = "lost"
"""Asked of the home page by a page whose reader lost its tenant."""


class OwnRequest(HttpRequest):
    """A request of somebody who is signed in, whatever they may enter."""

    user: User


class PageRequest(HttpRequest):
    """A request that passed the gate of one tenant; `accesses` are all the user may switch to."""

    tenant: Tenant
    access: TenantAccess
    accesses: list[TenantAccess]


def tenant_page(
    *methods: str, needs: Role = Role.VIEWER, of_archived: bool = False
) -> Callable[[Callable[Concatenate[PageRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Wrap a view of `/t/<slug>/…`. A stranger gets 404, as for a tenant that does not exist.

    An archived tenant can be looked at; only what is `of_archived` changes it.
    """

    def decorate(
        view: Callable[Concatenate[PageRequest, P], HttpResponse],
    ) -> Callable[..., HttpResponse]:
        @wraps(view)
        def enter(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            slug = str(kwargs.pop("slug"))
            if not request.user.is_authenticated:
                return _ask_to_sign_in(request)
            if not may_enter(request.user):
                return ask_to_confirm(request)
            note_seen(request, request.user)
            page_request = _enter(request, slug)
            if page_request is None:
                return _send_away(request)
            if not page_request.access.includes(needs):
                return _refuse(request, "dashboard/errors/role.html", 403, needs=needs)
            is_resting = page_request.tenant.archived_at is not None
            if is_resting and not of_archived and request.method not in {"GET", "HEAD"}:
                return _refuse(request, "dashboard/errors/archived.html", 409)
            return view(page_request, *args, **kwargs)

        return require_http_methods(methods or ("GET", "HEAD"))(enter)

    return decorate


def own_page(
    *methods: str,
) -> Callable[[Callable[Concatenate[OwnRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Wrap a view of one's own account, which needs no tenant."""

    def decorate(
        view: Callable[Concatenate[OwnRequest, P], HttpResponse],
    ) -> Callable[..., HttpResponse]:
        @wraps(view)
        def enter(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return _ask_to_sign_in(request)
            note_seen(request, request.user)
            return view(cast("OwnRequest", request), *args, **kwargs)

        return require_http_methods(methods)(enter)

    return decorate


def _enter(request: HttpRequest, slug: str) -> PageRequest | None:
    accesses = accesses_of_user(cast("User", request.user))
    access = next((one for one in accesses if one.tenant.slug == slug), None)
    if access is None:
        return None
    page_request = cast("PageRequest", request)
    page_request.tenant = access.tenant
    page_request.access = access
    page_request.accesses = accesses
    return page_request


def _send_away(request: HttpRequest) -> HttpResponse:
    """A fragment of a page that was open when its reader lost the tenant leads them out of it."""
    if not is_fragment_request(request):
        raise Http404("no such tenant")
    response = HttpResponse(status=404)
    response["HX-Redirect"] = f"{reverse('dashboard:home')}?{LOST}"
    return response


def _refuse(request: HttpRequest, template: str, status: int, **context: object) -> HttpResponse:
    """A page says why; one that is open, and shows more than its reader may do now, is read again."""
    if is_fragment_request(request):
        return _read_page_again(status)
    return render(request, template, context, status=status)


def _read_page_again(status: int) -> HttpResponse:
    response = HttpResponse(status=status)
    response["HX-Refresh"] = "true"
    return response


def _ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """A fragment cannot show a sign-in form in its place: it makes the whole page go there."""
    if is_fragment_request(request):
        return _read_page_again(401)
    wanted = request.get_full_path() if request.method in {"GET", "HEAD"} else "/"
    return redirect_to_login(wanted, "dashboard:sign_in")


def ask_to_confirm(request: HttpRequest) -> HttpResponse:
    context = {"sends_mail": mail.is_configured()}
    return render(request, "dashboard/account/unconfirmed.html", context, status=403)


def is_fragment_request(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"
