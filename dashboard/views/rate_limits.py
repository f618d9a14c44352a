"""Rate limits: what is left of each key, and forgetting one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render

from dashboard.gate import PageRequest, tenant_page
from dashboard.rendering import render_fragment
from engine.domain.rate_limits import MAX_KEY_LENGTH
from engine.errors import NotFound
from engine.models import RateLimit
from engine.models.rate_limit_queries import rate_limits_of
from engine.operations.change_rate_limits import delete_rate_limit
from engine.states import RateLimitWindow
from engine.store import sync_db
from tenants.audit.declared import Changes
from tenants.models import Role

PAGE_SIZE = 50
ORDERS = {
    "key": ("Key", "key"),
    "left": ("Least left", "left"),
    "limit": ("Highest limit", "-limit_value"),
    "used": ("Last window first", "-refilled_at"),
}


@dataclass(frozen=True, slots=True)
class LimitList:
    """What the list shows, as its query string says."""

    search: str = ""
    order: str = "key"
    page: int = 1

    def query_string(self, page: int | None = None) -> str:
        pairs = {"search": self.search, "order": self.order, "page": page or self.page}
        defaults = {"search": "", "order": "key", "page": 1}
        return urlencode({name: v for name, v in pairs.items() if v != defaults[name]})


def _read(query: QueryDict) -> LimitList:
    order, page = query.get("order", ""), query.get("page", "")
    is_number = page.isascii() and page.isdecimal() and len(page) < 7
    return LimitList(
        _clean(query.get("search", "")),
        order if order in ORDERS else "key",
        max(int(page), 1) if is_number else 1,
    )


@tenant_page()
def index(request: PageRequest) -> HttpResponse:
    return render(request, "dashboard/rate_limits/index.html", _context(request))


@tenant_page()
def live(request: PageRequest) -> HttpResponse:
    return render_fragment(request, "dashboard/rate_limits/_list.html", _context(request))


def _context(request: PageRequest) -> dict[str, Any]:
    wanted, now = _read(request.GET), datetime.now(UTC)
    found = rate_limits_of(request.tenant.id, now, wanted.search)
    start = (wanted.page - 1) * PAGE_SIZE
    ordered = found.order_by(ORDERS[wanted.order][1], "key")
    rows = list(ordered[start : start + PAGE_SIZE + 1])
    has_more = len(rows) > PAGE_SIZE
    return {
        "wanted": wanted,
        "orders": [(name, label) for name, (label, _) in ORDERS.items()],
        "limits": [_shown(limit, now) for limit in rows[:PAGE_SIZE]],
        "query_string": wanted.query_string(),
        "earlier": wanted.query_string(wanted.page - 1) if wanted.page > 1 else None,
        "later": wanted.query_string(wanted.page + 1) if has_more else None,
    }


def _shown(limit: RateLimit, now: datetime) -> dict[str, Any]:
    paused_until = limit.paused_until
    return {
        "limit": limit,
        "left": getattr(limit, "left", limit.value),
        "window": RateLimitWindow(limit.window).name.lower(),
        "paused_until": paused_until if paused_until and paused_until > now else None,
    }


@tenant_page("GET", "HEAD", "POST", needs=Role.MEMBER, audits=Changes("rate_limit.delete"))
def delete(request: PageRequest) -> HttpResponse:
    """Ask first, then delete."""
    given = request.POST if request.method == "POST" else request.GET
    key = _clean(given.get("key", ""), strip=False)
    limit = RateLimit.objects.filter(tenant_id=request.tenant.id, key=key).first()
    if limit is None:
        raise Http404("no such rate limit")
    if request.method != "POST":
        return render(request, "dashboard/rate_limits/delete.html", {"limit": limit})
    try:
        sync_db.run(delete_rate_limit(request.tenant.id, key))
    except NotFound:
        raise Http404("no such rate limit") from None
    messages.success(request, f"Rate limit {key} deleted.")
    return redirect("dashboard:rate_limits", request.tenant.slug)


def _clean(text: str, *, strip: bool = True) -> str:
    """Postgres takes no NUL in a text, and no key has one."""
    text = text.replace("\0", "")[:MAX_KEY_LENGTH]
    return text.strip() if strip else text
