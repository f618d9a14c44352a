"""What a new installation needs before anybody can use it: an admin, a tenant and a token."""

from __future__ import annotations

from dataclasses import dataclass

from tenants.audit.actors import actor_of_command
from tenants.audit.declared import Changes
from tenants.audit.recording import recorded_changes
from tenants.installation import Installation
from tenants.models import APIToken, Member, Role, Tenant, User
from tenants.people.first_start import alone_at_first_start, ensure_default_tenant
from tenants.tokens import create_token

FIRST_TOKEN_NAME = "default"
MAKE = Changes("installation.create")


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """`admin_password` and `token` are None when they existed before: neither can be shown again.

    `tenant` is None when the first one was deleted.
    """

    tenant: Tenant | None
    admin_email: str
    admin_password: str | None
    token: str | None


def bootstrap(config: Installation) -> BootstrapResult:
    """Create what is missing; running it again, or in two processes at once, changes nothing.

    What was taken away since the first start does not come back: neither the admin, nor their
    membership, nor the tenant.
    """
    with recorded_changes(MAKE, actor_of_command("setup"), None):
        alone_at_first_start()
        email = config.admin_email.lower().strip()
        is_new = not User.objects.exists()
        tenant = ensure_default_tenant(config)
        if is_new:
            admin = User.objects.create_user(email, config.admin_password, name=config.admin_name)
            if tenant is not None:
                Member.objects.create(tenant=tenant, user=admin, role=Role.OWNER)
        token = None
        if tenant is not None and not _has_token(tenant):
            _, token = create_token(tenant, FIRST_TOKEN_NAME)
    return BootstrapResult(
        tenant=tenant,
        admin_email=email,
        admin_password=config.admin_password if is_new else None,
        token=token,
    )


def _has_token(tenant: Tenant) -> bool:
    return APIToken.objects.filter(tenant=tenant, is_internal=False).exists()
