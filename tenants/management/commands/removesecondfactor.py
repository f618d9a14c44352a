"""Let somebody in with their password alone who lost their device and their recovery codes."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tenants.models import User
from tenants.sign_in import second_factor


class Command(BaseCommand):
    help = "Remove the second factor of a person who lost it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].lower().strip()
        user = User.objects.filter(email=email).first()
        if user is None or not second_factor.is_set_up(user):
            raise CommandError(f"{email} has no second factor")
        second_factor.remove(user)
        self.stdout.write(f"{email} signs in without a second factor now")
