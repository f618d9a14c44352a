"""API tokens: create or rotate one and copy it once, see which exist and are used, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from dashboard.gate import PageRequest, tenant_page
from tenants.audit.declared import Changes
from tenants.models import APIToken, Role, TokenScope
from tenants.resources import LimitReached
from tenants.tokens import CannotRotate, create_token, revoke_token, rotate_token

LIFETIMES = {"30": "30 days", "90": "90 days", "365": "1 year"}
DEFAULT_LIFETIME = "90"
SCOPES = {
    TokenScope.FULL.value: "Full: everything",
    TokenScope.WORKER_ONLY.value: "Worker only: run tasks",
    TokenScope.TRIGGER_ONLY.value: "Trigger only: start runs, push events",
    TokenScope.READ_ONLY.value: "Read only: look at everything",
}
OVERLAPS = {"0": "none: the old token stops now", "1": "1 hour", "24": "1 day", "168": "7 days"}
DEFAULT_OVERLAP = "24"
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form says."""

    name: str
    lifetime: str
    scope: str

    @property
    def problem(self) -> str:
        if not self.name:
            return "Give the token a name, so that you know later what uses it."
        if len(self.name) > MAX_NAME or "\0" in self.name:
            return f"A name has at most {MAX_NAME} characters and no NUL."
        if self.lifetime not in LIFETIMES:
            return "Choose how long the token lives."
        if self.scope not in SCOPES:
            return "Choose what the token may do."
        return ""


@never_cache
@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("token.create"))
def index(request: PageRequest) -> HttpResponse:
    """List tokens; a POST creates one and shows it in its own answer, the only time it is seen."""
    if request.method != "POST":
        return _page(request, _read(QueryDict()))
    wanted = _read(request.POST)
    if wanted.problem:
        return _page(request, wanted, error=wanted.problem)
    try:
        record, text = create_token(
            request.tenant,
            wanted.name,
            timedelta(days=int(wanted.lifetime)),
            scope=TokenScope(wanted.scope),
        )
    except LimitReached as error:
        return _page(request, wanted, error=f"{str(error)[:1].upper()}{str(error)[1:]}.")
    return _page(request, _read(QueryDict()), made=record, text=text)


@never_cache
@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("token.rotate"))
def rotate(request: PageRequest, token_id: UUID) -> HttpResponse:
    """Ask how long the old token is to be accepted; a POST shows the one in its place, once."""
    token = _find(request, token_id)
    overlap, error = request.POST.get("overlap", DEFAULT_OVERLAP), ""
    if request.method == "POST":
        try:
            if overlap not in OVERLAPS:
                raise CannotRotate("Choose how long the old token stays valid.")
            made, text = rotate_token(token.id, overlap=timedelta(hours=int(overlap)))
            return _page(request, _read(QueryDict()), made=made, text=text, replaced=token)
        except CannotRotate as refusal:
            error = str(refusal)
    context = {
        "token": token,
        "overlaps": list(OVERLAPS.items()),
        "overlap": overlap,
        "error": error,
    }
    status = 422 if error else 200
    return render(request, "dashboard/tokens/rotate.html", context, status=status)


@tenant_page(
    "GET", "HEAD", "POST", needs=Role.ADMIN, of_archived=True, audits=Changes("token.revoke")
)
def revoke(request: PageRequest, token_id: UUID) -> HttpResponse:
    """Ask first, then revoke."""
    token = _find(request, token_id)
    if request.method != "POST":
        return render(request, "dashboard/tokens/revoke.html", {"token": token})
    revoke_token(token.id)
    messages.success(request, f"“{token.name}” is revoked. Workers that use it are refused now.")
    return redirect("dashboard:tokens", request.tenant.slug)


def _read(given: QueryDict) -> Wanted:
    return Wanted(
        name=given.get("name", "").strip(),
        lifetime=given.get("lifetime", DEFAULT_LIFETIME),
        scope=given.get("scope", TokenScope.FULL.value),
    )


def _page(
    request: PageRequest,
    wanted: Wanted,
    *,
    error: str = "",
    made: APIToken | None = None,
    text: str = "",
    replaced: APIToken | None = None,
) -> HttpResponse:
    if replaced is not None:
        replaced.refresh_from_db()
    tokens = APIToken.objects.filter(
        tenant=request.tenant, is_internal=False, revoked_at__isnull=True
    )
    context = {
        "tokens": list(tokens.order_by("-created_at")),
        "lifetimes": list(LIFETIMES.items()),
        "scopes": list(SCOPES.items()),
        "wanted": wanted,
        "error": error,
        "made": made,
        "text": text,
        "replaced": replaced,
        "now": datetime.now(UTC),
    }
    return render(request, "dashboard/tokens/index.html", context, status=422 if error else 200)


def _find(request: PageRequest, token_id: UUID) -> APIToken:
    token = APIToken.objects.filter(
        tenant=request.tenant, id=token_id, is_internal=False, revoked_at__isnull=True
    ).first()
    if token is None:
        raise Http404("no such token")
    return token
