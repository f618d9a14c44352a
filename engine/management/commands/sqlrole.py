"""Which roles of the database may act for which tenant through the SQL contract, `hatchet_v1`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import ProgrammingError, connection, transaction
from django.utils import timezone
from psycopg import sql

from engine import migrations
from engine.models import SqlRole
from tenants.audit.declared import Changes
from tenants.management.audited import AuditedCommand
from tenants.models import Tenant

ROLES = Path(migrations.__file__).parent / "sql" / "hatchet_v1_roles.sql"
ENQUEUE, READ = "hatchet_enqueue", "hatchet_read"
LONGEST_READING = "5s"
LONGEST_NAME = 63


class Command(AuditedCommand):
    audits = Changes("sql_role.update")
    help = "Let a role of the database use hatchet_v1 for a tenant, or no longer; list them."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        grant = verbs.add_parser("grant", help="let a role act for a tenant")
        grant.add_argument("role")
        grant.add_argument("--tenant", default="default", help="slug of the tenant")
        grant.add_argument("--read-only", action="store_true", help="it may read and start nothing")
        revoke = verbs.add_parser("revoke", help="let it act for the tenant no longer")
        revoke.add_argument("role")
        revoke.add_argument("--tenant", default="default", help="slug of the tenant")
        verbs.add_parser("list", help="print which role acts for which tenant")
        verbs.add_parser("sql", help="print what makes the two roles that others are members of")

    def handle(self, *args: Any, **options: Any) -> None:
        verb = options["verb"]
        if verb == "list":
            for found in SqlRole.objects.select_related("tenant").order_by("role", "tenant__slug"):
                self.stdout.write(f"{found.role}\t{found.tenant.slug}")
        elif verb == "sql":
            self.stdout.write(ROLES.read_text())
        elif verb == "grant":
            self._grant(options["role"], _tenant(options["tenant"]), options["read_only"])
        else:
            self._revoke(options["role"], _tenant(options["tenant"]))

    def _grant(self, role: str, tenant: Tenant, is_read_only: bool) -> None:
        if not role or len(role.encode()) > LONGEST_NAME or "\0" in role:
            raise CommandError(f"a role's name has 1 to {LONGEST_NAME} bytes")
        with self.recorded_changes(tenant):
            SqlRole.objects.get_or_create(
                role=role, tenant=tenant, defaults={"created_at": timezone.now()}
            )
        wanted = _rights(role, is_read_only=is_read_only)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(ROLES.read_text())
                cursor.execute(wanted)
        except ProgrammingError as error:
            reason = str(error).split("\n", 1)[0]
            self.stderr.write(
                f"Its rights could not be given ({reason}). Have this run, by a superuser:"
            )
            self.stdout.write(ROLES.read_text() + wanted)

    def _revoke(self, role: str, tenant: Tenant) -> None:
        with self.recorded_changes(tenant):
            deleted, _ = SqlRole.objects.filter(role=role, tenant=tenant).delete()
        if not deleted:
            raise CommandError(f'the role "{role}" does not act for the tenant "{tenant.slug}"')


def _tenant(slug: str) -> Tenant:
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f'there is no tenant "{slug}"')
    return tenant


def _rights(role: str, *, is_read_only: bool) -> str:
    """What a role may do it does by membership; readers cannot keep the database busy for long."""
    name = sql.Identifier(role)
    if is_read_only:
        text = "GRANT {read} TO {name};\nALTER ROLE {name} SET statement_timeout = {longest};\n"
    else:
        text = "GRANT {enqueue}, {read} TO {name};\n"
    composed = sql.SQL(text).format(
        read=sql.Identifier(READ),
        enqueue=sql.Identifier(ENQUEUE),
        name=name,
        longest=sql.Literal(LONGEST_READING),
    )
    return composed.as_string(None)
