"""Print the audit log, that of all tenants and what belongs to none included: for operators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from tenants.audit.declared import ONLY_READS
from tenants.audit.export import ndjson
from tenants.audit.models import AuditEntry
from tenants.audit.queries import Wanted
from tenants.management.audited import AuditedCommand


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Command(AuditedCommand):
    help = "Print the audit log of the whole installation, the oldest entry first, one JSON object a line."
    audits = ONLY_READS

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", type=_moment, help="such as 2026-01-31 or 2026-01-31T12:00")
        parser.add_argument("--until", type=_moment)
        parser.add_argument("--action", default="", help="such as user.sign_in or cron.*")
        parser.add_argument("--tenant", help="id of a tenant, also of a deleted one; all otherwise")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = Wanted(action=options["action"], since=options["since"], until=options["until"])
        entries = AuditEntry.objects.filter(wanted.condition())
        if options["tenant"]:
            try:
                tenant_id = UUID(options["tenant"])
            except ValueError:
                raise CommandError(f'"{options["tenant"]}" is no id of a tenant') from None
            entries = entries.filter(tenant_id=tenant_id)
        for lines in ndjson(entries):
            self.stdout.write(lines.decode(), ending="")
