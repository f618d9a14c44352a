"""`manage.py setup`: everything a release needs before its processes start. For production."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from engine.environment import ConfigError
from engine.management import startup
from engine.management.credentials import how_to_connect
from tenants.audit.declared import TOLD_BY_BOOTSTRAP
from tenants.management.audited import AuditedCommand


class Command(AuditedCommand):
    audits = TOLD_BY_BOOTSTRAP
    help = "Update the tables, make the first admin, tenant and token, collect static files."
    requires_system_checks = ()
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            credentials = startup.prepare(settings.HATCHET, self.stdout.write)
        except ConfigError as error:
            raise CommandError(f"Hatchet cannot be set up: {error}") from None
        self.stdout.write(how_to_connect(settings.HATCHET, credentials))
