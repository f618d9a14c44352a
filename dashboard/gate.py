"""How a request enters a tenant's pages: signed in, a member, and with a role that allows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, cast
from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from tenants import mail
from tenants.access import TenantAccess, accesses_of_user, may_enter
from tenants.audit.actors import Actor, actor_of_request
from tenants.audit.declared import Declared
from tenants.audit.recording import Acting, answer_audited
from tenants.log_fields import serve_tenant
from tenants.models import Role, Tenant, User
from tenants.sessions import note_seen

P = ParamSpec("P")
AUDITS = "audits"
"""The attribute of a view that holds what it declared."""
LOST = "lost"
"""Asked of the home page by a page whose reader lost its tenant."""


class OwnRequest(HttpRequest):
    """A request of somebody who is signed in, whatever they may enter."""

    user: User


class PageRequest(OwnRequest):
    """A request that passed the gate of one tenant; `accesses` are all the user may switch to."""

    tenant: Tenant
    access: TenantAccess
    accesses: list[TenantAccess]
    acting: Acting
    """Of a page that declares `Acts`, in a POST."""


def tenant_page(
    *methods: str,
    needs: Role = Role.VIEWER,
    of_archived: bool = False,
    audits: Declared | None = None,
) -> Callable[[Callable[Concatenate[PageRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Wrap a view of `/t/<slug>/…`. A stranger gets 404, as for a tenant that does not exist.

    An archived tenant can be looked at; only what is `of_archived` changes it. One that takes POSTs says
    what of them is in the audit log.
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
            if request.method != "POST":
                return view(page_request, *args, **kwargs)
            return _answer_audited(
                page_request, audits, lambda asked: view(asked, *args, **kwargs), kwargs
            )

        vars(enter)[AUDITS] = audits
        return require_http_methods(methods or ("GET", "HEAD"))(enter)

    return decorate


def own_page(
    *methods: str, audits: Declared | None = None
) -> Callable[[Callable[Concatenate[OwnRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Wrap a view of one's own account, which needs no tenant; one that takes POSTs says what is audited."""

    def decorate(
        view: Callable[Concatenate[OwnRequest, P], HttpResponse],
    ) -> Callable[..., HttpResponse]:
        @wraps(view)
        def enter(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return _ask_to_sign_in(request)
            note_seen(request, request.user)
            own_request = cast("OwnRequest", request)
            return answer_page(request, audits, lambda: view(own_request, *args, **kwargs), kwargs)

        vars(enter)[AUDITS] = audits
        return require_http_methods(methods)(enter)

    return decorate


def _answer_audited(
    request: PageRequest,
    audits: Declared | None,
    view: Callable[[PageRequest], HttpResponse],
    named: Mapping[str, object],
) -> HttpResponse:
    """Let the view answer; what it acts on is what the last id in the path names."""

    def answer(acting: Acting | None) -> HttpResponse:
        if acting is not None:
            request.acting = acting
        return view(request)

    actor = actor_of_page(request)
    return answer_audited(audits, lambda: actor, request.tenant.id, _last_id(named), answer)


def _last_id(named: Mapping[str, object]) -> str:
    ids = [str(value) for value in named.values() if isinstance(value, UUID | int)]
    return ids[-1] if ids else ""


def actor_of_page(request: HttpRequest) -> Actor:
    """The person who is signed in, or somebody who is not."""
    user = request.user if isinstance(request.user, User) else None
    if user is None:
        return actor_of_request(request, user_id=None, email="")
    return actor_of_request(request, user_id=user.id, email=user.email)


def answer_page(
    request: HttpRequest,
    audits: Declared | None,
    view: Callable[[], HttpResponse],
    named: Mapping[str, object],
) -> HttpResponse:
    """Let a view outside tenants answer; it acts on what is named, or on the person."""
    if request.method != "POST":
        return view()
    actor = actor_of_page(request)
    return answer_audited(
        audits, lambda: actor, None, _last_id(named) or actor.id, lambda _acting: view()
    )


def audited_page(
    audits: Declared,
) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Wrap a view outside tenants that takes POSTs: it says what of them is in the audit log."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def enter(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
            return answer_page(request, audits, lambda: view(request, *args, **kwargs), kwargs)

        vars(enter)[AUDITS] = audits
        return enter

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
    serve_tenant(access.tenant.id)
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
