"""The audit log: who changed what, narrowed as wanted, and each change with what was before and after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse

from dashboard.gate import PageRequest, tenant_page
from dashboard.run_filters import WINDOWS
from dashboard.templatetags.dash import NOTHING
from dashboard.url_filters import parse_id
from tenants.audit.models import AuditEntry
from tenants.audit.queries import LARGEST_ID, Wanted, entries_of, newest_entries
from tenants.models import Role

PAGE_SIZE = 50
MAX_TEXT = 300
DEFAULT_WINDOW = "all"
_EXPORTS = {
    "NDJSON": "/api/v1/tenants/{}/audit/export",
    "CSV": "/api/v1/tenants/{}/audit/export.csv",
}
_TEXTS = ("actor", "action", "resource", "search")
_PAGES = {
    "bulk_action": "bulk_action",
    "cron": "cron",
    "filter": "filter",
    "run": "run",
    "schedule": "schedule",
    "webhook": "webhook",
    "worker": "worker",
    "workflow": "workflow",
}
"""Which page shows a resource of a kind."""


@dataclass(frozen=True, slots=True)
class AuditList:
    """What the list shows, as its query string says."""

    texts: dict[str, str]
    window: str
    before: int | None

    @property
    def is_narrowed(self) -> bool:
        return self.window != DEFAULT_WINDOW or any(self.texts.values())

    def wanted(self, now: datetime) -> Wanted:
        length = WINDOWS[self.window][1]
        texts = self.texts
        return Wanted(
            actor=texts["actor"],
            action=texts["action"],
            resource=texts["resource"],
            search=texts["search"],
            since=None if length is None else now - length,
        )

    def export_query(self, now: datetime) -> str:
        """The same, as the REST API takes it."""
        since = self.wanted(now).since
        pairs = {**self.texts, "since": since and since.isoformat()}
        return urlencode({name: value for name, value in pairs.items() if value})

    def query_string(self, before: int | None = None) -> str:
        pairs: dict[str, Any] = {**self.texts, "window": self.window, "before": before}
        if self.window == DEFAULT_WINDOW:
            del pairs["window"]
        return urlencode({name: value for name, value in pairs.items() if value})


def _read(query: QueryDict) -> AuditList:
    window, before = query.get("window", ""), query.get("before", "")
    is_number = before.isascii() and before.isdecimal() and len(before) < 20
    return AuditList(
        {name: query.get(name, "").replace("\0", "").strip()[:MAX_TEXT] for name in _TEXTS},
        window if window in WINDOWS else DEFAULT_WINDOW,
        min(int(before), LARGEST_ID) if is_number else None,
    )


@tenant_page(needs=Role.ADMIN)
def index(request: PageRequest) -> HttpResponse:
    asked, now = _read(request.GET), datetime.now(UTC)
    entries = entries_of(request.tenant.id, asked.wanted(now))
    rows, older = newest_entries(entries, before=asked.before, limit=PAGE_SIZE)
    context = {
        "asked": asked,
        "windows": [(key, label) for key, (label, _) in WINDOWS.items()],
        "rows": rows,
        "exports": [
            (label, f"{path.format(request.tenant.id)}?{asked.export_query(now)}")
            for label, path in _EXPORTS.items()
        ],
        "newest": asked.query_string(),
        "older": None if older is None else asked.query_string(older),
    }
    return render(request, "dashboard/audit/index.html", context)


@tenant_page(needs=Role.ADMIN)
def detail(request: PageRequest, entry_id: int) -> HttpResponse:
    if entry_id > LARGEST_ID:
        raise Http404("no such entry")
    entry = entries_of(request.tenant.id, Wanted()).filter(id=entry_id).first()
    if entry is None:
        raise Http404("no such entry")
    context = {
        "entry": entry,
        "changes": _changes(entry),
        "page": _page_of(entry, request),
        "of_actor": urlencode({"actor": entry.actor_id or entry.actor_name}),
        "of_resource": urlencode({"resource": f"{entry.resource_kind}:{entry.resource_id}"}),
    }
    return render(request, "dashboard/audit/detail.html", context)


def _changes(entry: AuditEntry) -> list[tuple[str, str, str]]:
    before, after = entry.before or {}, entry.after or {}
    return [
        (name, _words(before.get(name)), _words(after.get(name)))
        for name in sorted({*before, *after})
    ]


def _words(value: Any) -> str:
    if value in (None, "", []):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _page_of(entry: AuditEntry, request: PageRequest) -> str:
    """The address of what was changed, unless it is gone or has no page of its own."""
    name, identity = _PAGES.get(entry.resource_kind), parse_id(entry.resource_id)
    if name is None or identity is None or entry.action.endswith(".delete"):
        return ""
    return reverse(f"dashboard:{name}", args=[request.tenant.slug, identity])
