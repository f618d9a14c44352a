"""Gives tenants new data keys, with which what comes from now on is encrypted."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from engine.config import Config
from engine.errors import HatchetError
from engine.store import key_changes
from engine.store.payload_setup import masters_of
from tenants.audit.declared import Unaudited
from tenants.management.audited import AuditedCommand
from tenants.models import Tenant


class Command(AuditedCommand):
    help = "Encrypt new payloads with new keys; those encrypted before stay readable."
    audits = Unaudited("nobody can read more or less than before")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tenants", nargs="*", help="slugs; all tenants if none is given")

    def handle(self, *_: Any, **options: Any) -> None:
        config: Config = settings.HATCHET
        if config.payloads.encryption != "on":
            raise CommandError("Payloads are not encrypted: SERVER_ENCRYPTION_PAYLOADS is not on.")
        tenants = Tenant.objects.filter(deleted_at=None)
        slugs: list[str] = options["tenants"]
        if slugs:
            tenants = tenants.filter(slug__in=slugs)
        found = dict(tenants.values_list("slug", "id"))
        if unknown := sorted(set(slugs) - found.keys()):
            raise CommandError(f"There is no tenant {', '.join(unknown)}.")
        try:
            key_changes.renew(masters_of(config), found.values())
        except HatchetError as error:
            raise CommandError(f"Not all keys were renewed: {error}.") from None
        self.stdout.write(f"{len(found)} tenants have new keys, used within a minute.")
