"""The audit log as lines for other programs: NDJSON, or CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import orjson
from django.db.models import QuerySet

from tenants.audit.models import AuditEntry
from tenants.audit.queries import in_parts

_COLUMNS = (
    "id",
    "at",
    "tenant_id",
    "actor_kind",
    "actor_id",
    "actor_name",
    "action",
    "resource_kind",
    "resource_id",
    "resource_name",
    "before",
    "after",
    "address",
    "user_agent",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def entry_shape(entry: AuditEntry) -> dict[str, Any]:
    """An entry as the REST API tells it."""
    shape = {
        "id": str(entry.id),
        "at": _moment(entry),
        "tenantId": entry.tenant_id and str(entry.tenant_id),
        "action": entry.action,
        "actor": {"kind": entry.actor_kind, "id": entry.actor_id, "name": entry.actor_name},
        "resource": {
            "kind": entry.resource_kind,
            "id": entry.resource_id,
            "name": entry.resource_name,
        },
        "before": entry.before,
        "after": entry.after,
        "address": entry.address,
        "userAgent": entry.user_agent,
    }
    return {name: value for name, value in shape.items() if value is not None}


def ndjson(entries: QuerySet[AuditEntry]) -> Iterator[bytes]:
    """Yield lines, each an entry as a JSON object."""
    for rows in in_parts(entries):
        shapes = map(entry_shape, rows)
        yield b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in shapes)


def csv_lines(entries: QuerySet[AuditEntry]) -> Iterator[bytes]:
    """Yield a head and then a line an entry."""
    yield _line(_COLUMNS)
    for rows in in_parts(entries):
        yield b"".join(_line([_cell(row, column) for column in _COLUMNS]) for row in rows)


def _line(cells: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _cell(entry: AuditEntry, column: str) -> str:
    value = getattr(entry, column)
    if value is None:
        return ""
    if column in ("before", "after"):
        return orjson.dumps(value).decode()
    text = _moment(entry) if column == "at" else str(value)
    # A spreadsheet would take it for a formula, and names come from anybody.
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _moment(entry: AuditEntry) -> str:
    return entry.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
