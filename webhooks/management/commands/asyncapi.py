"""Writes docs/asyncapi.yaml, the description of outgoing messages."""

from __future__ import annotations

from typing import Any

from tenants.audit.declared import ONLY_READS
from tenants.management.audited import AuditedCommand
from webhooks.outgoing.asyncapi import DOCUMENT, written


class Command(AuditedCommand):
    audits = ONLY_READS
    help = "Write docs/asyncapi.yaml from the table of what outgoing webhooks tell."
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        DOCUMENT.write_text(written())
