"""Create a user and give them a role in a tenant."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.audit.declared import Changes
from tenants.management.audited import AuditedCommand
from tenants.models import Member, Role, Tenant, User


class Command(AuditedCommand):
    audits = Changes("user.create")
    help = "Create a user who can sign in, and make them a member of a tenant."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="")
        parser.add_argument("--tenant", default="default", help="slug of the tenant")
        parser.add_argument("--role", default=Role.MEMBER.value, choices=Role.values)
        parser.add_argument("--password", help="asked for when it is not given")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f'there is no tenant "{options["tenant"]}"')
        email = options["email"].lower().strip()
        if User.objects.filter(email=email).exists():
            raise CommandError(f"{email} exists already")
        password = options["password"] or getpass.getpass("Password: ")
        if not password:
            raise CommandError("a password is needed")
        with self.recorded_changes(tenant):
            user = User.objects.create_user(email, password, name=options["name"])
            Member.objects.create(tenant=tenant, user=user, role=options["role"])
        self.stdout.write(f"{email} may sign in and is {options['role']} of {tenant.slug}")
