"""The people of the tests: members of every role of one tenant, and a stranger who owns another."""

from __future__ import annotations

from dataclasses import dataclass

from tenants.models import Member, Role, Tenant, User

PASSWORD = "Correct-horse-7"


@dataclass(frozen=True, slots=True)
class Cast:
    tenant: Tenant
    owner: User
    admin: User
    member: User
    viewer: User
    stranger: User
    other_tenant: Tenant

    def by_role(self, role: Role) -> User:
        return {
            Role.OWNER: self.owner,
            Role.ADMIN: self.admin,
            Role.MEMBER: self.member,
            Role.VIEWER: self.viewer,
        }[role]


def make_cast() -> Cast:
    tenant = Tenant.objects.create(name="Acme", slug="acme")
    other = Tenant.objects.create(name="Elsewhere", slug="elsewhere")
    users = {}
    for role in Role:
        users[role] = make_user(f"{role.value.lower()}@acme.test")
        Member.objects.create(tenant=tenant, user=users[role], role=role)
    stranger = make_user("stranger@elsewhere.test")
    Member.objects.create(tenant=other, user=stranger, role=Role.OWNER)
    return Cast(
        tenant=tenant,
        owner=users[Role.OWNER],
        admin=users[Role.ADMIN],
        member=users[Role.MEMBER],
        viewer=users[Role.VIEWER],
        stranger=stranger,
        other_tenant=other,
    )


def make_user(email: str) -> User:
    return User.objects.create_user(email, PASSWORD, name=email.split("@", 1)[0].title())
