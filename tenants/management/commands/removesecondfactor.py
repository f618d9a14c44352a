"""Let somebody in with their password alone who lost their device and their recovery codes."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.audit.declared import Acts
from tenants.management.audited import AuditedCommand
from tenants.models import User
from tenants.sign_in import second_factor


class Command(AuditedCommand):
    audits = Acts("user.remove_second_factor")
    help = "Remove the second factor of a person who lost it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].lower().strip()
        user = User.objects.filter(email=email).first()
        if user is None or not second_factor.is_set_up(user):
            raise CommandError(f"{email} has no second factor")
        with self.acting(user).on():
            second_factor.remove(user)
        self.stdout.write(f"{email} signs in without a second factor now")
