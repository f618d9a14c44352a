"""The audit log over REST, for admins: a list with a cursor, and all of it as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.audit.export import csv_lines, entry_shape, ndjson
from tenants.audit.models import AuditEntry
from tenants.audit.queries import LARGEST_ID, Wanted, entries_of, newest_entries
from tenants.models import Role
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.streaming import streamed
from tenants.rest.views import TenantView

NDJSON, CSV = "application/x-ndjson", "text/csv"
MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class AuditSelection:
    actor: str | None = in_query.text("actor")
    action: str | None = in_query.text("action")
    resource: str | None = in_query.text("resource")
    search: str | None = in_query.text("search")
    since: datetime | None = in_query.moment("since")
    until: datetime | None = in_query.moment("until")

    @property
    def wanted(self) -> Wanted:
        return Wanted(
            actor=self.actor or "",
            action=self.action or "",
            resource=self.resource or "",
            search=self.search or "",
            since=self.since,
            until=self.until,
        )


@dataclass(frozen=True, slots=True)
class AuditPage:
    selection: AuditSelection = part(AuditSelection)
    limit: int = in_query.whole("limit", 50, minimum=1, maximum=MOST_ROWS)
    cursor: int = in_query.whole("cursor", LARGEST_ID, minimum=1, maximum=LARGEST_ID)


class AuditView(TenantView):
    """Who changed what, the newest first; `nextCursor` is the `cursor` of the next page."""

    reading_needs = Role.ADMIN

    @takes_query(AuditPage)
    def get(self, request: Request, asked: AuditPage, **_: Any) -> Response:
        entries = entries_of(self.tenant.id, asked.selection.wanted)
        rows, following = newest_entries(entries, before=asked.cursor, limit=asked.limit)
        pagination = {} if following is None else {"nextCursor": str(following)}
        return Response({"pagination": pagination, "rows": [*map(entry_shape, rows)]})


class AuditExportView(TenantView):
    """All entries, the oldest first, a line each."""

    reading_needs = Role.ADMIN
    media_type, ending = NDJSON, "ndjson"

    @takes_query(AuditSelection)
    def get(self, request: Request, asked: AuditSelection, **_: Any) -> StreamingHttpResponse:
        return streamed(
            request._request,
            self.lines(entries_of(self.tenant.id, asked.wanted)),
            media_type=self.media_type,
            file_name=f"audit-{self.tenant.slug}.{self.ending}",
        )

    def lines(self, entries: QuerySet[AuditEntry]) -> Iterator[bytes]:
        return ndjson(entries)


class AuditCsvView(AuditExportView):
    """The same for spreadsheets, with a head."""

    media_type, ending = CSV, "csv"

    def lines(self, entries: QuerySet[AuditEntry]) -> Iterator[bytes]:
        return csv_lines(entries)
