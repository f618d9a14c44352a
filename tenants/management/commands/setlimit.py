"""Give a tenant a limit of its own, or take it back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants.audit.declared import Changes
from tenants.management.audited import AuditedCommand
from tenants.models import ResourceLimit, Tenant
from tenants.resources import MOST, Resource


class Command(AuditedCommand):
    audits = Changes("resource_limit.update")
    help = "Give a tenant another limit than the installation's; without a value that holds again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("resource", choices=[resource.value for resource in Resource])
        parser.add_argument("value", type=int, nargs="?", help="how much it may have")
        parser.add_argument("--alarm", type=int, help="from where on people are told")
        parser.add_argument("--tenant", default="default", help="slug of the tenant")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f'there is no tenant "{options["tenant"]}"')
        value, alarm = options["value"], options["alarm"]
        if value is None and alarm is not None:
            raise CommandError("an alarm needs a value beside it")
        if value is not None and not 0 <= (value if alarm is None else alarm) <= value <= MOST:
            raise CommandError(f"the value is from 0 to {MOST}, the alarm from 0 to the value")
        with self.recorded_changes(tenant):
            # What is made here first is not told of: the change is.
            ResourceLimit.objects.get_or_create(tenant=tenant, resource=options["resource"])
            limits = ResourceLimit.objects.filter(tenant=tenant, resource=options["resource"])
            limits.update(limit_value=value, alarm_value=alarm)
