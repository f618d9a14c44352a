"""What tests of people need: who acts, and how a link's secret is got at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from django.conf import settings
from pytest_django import Settings

from tenants.access import TenantAccess, access_of_user
from tenants.models import Member, Role, Tenant, User
from tenants.people.invites import MadeInvite, create_invite
from tests.cast import PASSWORD

NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"


def allow(settings: Settings, **people: Any) -> None:
    """Change what people may do by themselves, for one test."""
    settings.HATCHET = replace(settings.HATCHET, people=replace(settings.HATCHET.people, **people))


def acting(user: User, tenant: Tenant) -> TenantAccess:
    return access_of_user(user, tenant)


def invite(
    inviter: User, tenant: Tenant, email: str = "new@acme.test", role: Role = Role.MEMBER
) -> MadeInvite:
    return create_invite(acting(inviter, tenant), email=email, role=role)


def secret_of(made: MadeInvite) -> str:
    """The last part of a link that has to be handed over."""
    assert made.link is not None
    return made.link.rsplit("/", 1)[1]


def secret_in(text: str) -> str:
    """The last part of the link in a mail."""
    (line,) = [line for line in text.splitlines() if line.startswith("http")]
    address = settings.HATCHET.server_url + "/invites/"
    assert line.startswith(address)
    return line.removeprefix(address)


def newcomer(tenant: Tenant, role: Role = Role.OWNER) -> User:
    """A member of a tenant with a name of their own: for tests that commit."""
    user = User.objects.create_user(f"{uuid4()}@acme.test", PASSWORD)
    Member.objects.create(tenant=tenant, user=user, role=role)
    return user
