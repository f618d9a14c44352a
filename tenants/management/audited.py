"""Commands that change something, which the audit log tells of as done by the user who ran them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import ClassVar

from django.core.management.base import BaseCommand

from tenants.audit.actors import Actor, actor_of_command
from tenants.audit.declared import Acts, Changes, Declared
from tenants.audit.recording import Acting, recorded_changes
from tenants.models import Tenant, User


class AuditedCommand(BaseCommand):
    """A command of ours; each says what of it is in the audit log."""

    audits: ClassVar[Declared]

    def recorded_changes(self, tenant: Tenant | None = None) -> AbstractContextManager[None]:
        """A transaction whose changes are told of."""
        assert isinstance(self.audits, Changes)
        return recorded_changes(self.audits, self._actor(), None if tenant is None else tenant.id)

    def acting(self, user: User) -> Acting:
        """What is done to a person, and no row with a trigger tells of."""
        assert isinstance(self.audits, Acts)
        return Acting(self.audits, self._actor(), None, str(user.id))

    def _actor(self) -> Actor:
        return actor_of_command(type(self).__module__.rpartition(".")[2])
