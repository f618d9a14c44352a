"""Print a new API token for a tenant."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.audit.declared import Changes
from tenants.durations import parse_lifetime
from tenants.management.audited import AuditedCommand
from tenants.models import Tenant, TokenScope
from tenants.resources import LimitReached
from tenants.tokens import DEFAULT_LIFETIME, create_token


def _duration(text: str) -> timedelta:
    try:
        return parse_lifetime(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


class Command(AuditedCommand):
    audits = Changes("token.create")
    help = "Print a new API token. It is shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", default="default", help="slug of the tenant")
        parser.add_argument("--name", default="cli", help="name shown in the list of tokens")
        parser.add_argument(
            "--expires-in", type=_duration, default=DEFAULT_LIFETIME, help="such as 90d or 72h"
        )
        parser.add_argument(
            "--scope",
            default=TokenScope.FULL.value,
            choices=TokenScope.values,
            help="what it may do",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f'there is no tenant "{options["tenant"]}"')
        scope = TokenScope(options["scope"])
        try:
            with self.recorded_changes(tenant):
                _, token = create_token(tenant, options["name"], options["expires_in"], scope=scope)
        except LimitReached as error:
            raise CommandError(str(error)) from None
        self.stdout.write(token)
