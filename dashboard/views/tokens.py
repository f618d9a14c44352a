"""API tokens: create one and copy it once, see which exist, revoke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from dashboard.gate import PageRequest, tenant_page
from tenants.audit.declared import Changes
from tenants.models import APIToken, Role
from tenants.tokens import create_token, revoke_token

LIFETIMES = {"30": "30 days", "90": "90 days", "365": "1 year"}
DEFAULT_LIFETIME = "90"
MAX_NAME = 200


@never_cache
@tenant_page("GET", "HEAD", "POST", needs=Role.ADMIN, audits=Changes("token.create"))
def index(request: PageRequest) -> HttpResponse:
    """List tokens; a POST creates one and shows it in its own answer, the only time it is seen."""
    new_token, error, status = "", "", 200
    name = request.POST.get("name", "").strip()
    lifetime = request.POST.get("lifetime", DEFAULT_LIFETIME)
    if request.method == "POST":
        error = _problem(name, lifetime)
        if error:
            status = 422
        else:
            _, new_token = create_token(request.tenant, name, timedelta(days=int(lifetime)))
    context = {
        "tokens": _tokens(request),
        "lifetimes": list(LIFETIMES.items()),
        "lifetime": lifetime,
        "name": name if error else "",
        "error": error,
        "new_token": new_token,
        "new_name": name if new_token else "",
        "now": datetime.now(UTC),
    }
    return render(request, "dashboard/tokens/index.html", context, status=status)


def _problem(name: str, lifetime: str) -> str:
    if not name:
        return "Give the token a name, so that you know later what uses it."
    if len(name) > MAX_NAME or "\0" in name:
        return f"A name has at most {MAX_NAME} characters and no NUL."
    if lifetime not in LIFETIMES:
        return "Choose how long the token lives."
    return ""


def _tokens(request: PageRequest) -> list[APIToken]:
    tokens = APIToken.objects.filter(
        tenant=request.tenant, is_internal=False, revoked_at__isnull=True
    )
    return list(tokens.order_by("-created_at"))


@tenant_page(
    "GET", "HEAD", "POST", needs=Role.ADMIN, of_archived=True, audits=Changes("token.revoke")
)
def revoke(request: PageRequest, token_id: UUID) -> HttpResponse:
    """Ask first, then revoke."""
    token = APIToken.objects.filter(
        tenant=request.tenant, id=token_id, is_internal=False, revoked_at__isnull=True
    ).first()
    if token is None:
        raise Http404("no such token")
    if request.method != "POST":
        return render(request, "dashboard/tokens/revoke.html", {"token": token})
    revoke_token(token.id)
    messages.success(request, f"“{token.name}” is revoked. Workers that use it are refused now.")
    return redirect("dashboard:tokens", request.tenant.slug)
