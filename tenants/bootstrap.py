"""What a new installation needs before anybody can use it: an admin, a tenant and a token."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction

from tenants.installation import Installation
from tenants.models import APIToken, Member, Role, Tenant, User
from tenants.tokens import create_token

FIRST_TOKEN_NAME = "default"
_LOCK_KEY = 0x68617463


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """`admin_password` and `token` are None when they existed before: neither can be shown again."""

    tenant: Tenant
    admin_email: str
    admin_password: str | None
    token: str | None


def bootstrap(config: Installation) -> BootstrapResult:
    """Create what is missing; running it again, or in two processes at once, changes nothing."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        email = config.admin_email.lower().strip()
        admin = User.objects.filter(email=email).first()
        is_new_admin = admin is None
        if admin is None:
            admin = User.objects.create_user(email, config.admin_password, name=config.admin_name)
        tenant = _ensure_tenant(config)
        Member.objects.get_or_create(tenant=tenant, user=admin, defaults={"role": Role.OWNER})
        token = None
        if not APIToken.objects.filter(tenant=tenant, is_internal=False).exists():
            _, token = create_token(tenant, FIRST_TOKEN_NAME)
    return BootstrapResult(
        tenant=tenant,
        admin_email=admin.email,
        admin_password=config.admin_password if is_new_admin else None,
        token=token,
    )


def _ensure_tenant(config: Installation) -> Tenant:
    tenant = Tenant.objects.filter(slug=config.default_tenant_slug).first()
    if tenant is not None:
        return tenant
    chosen_id = {"id": config.default_tenant_id} if config.default_tenant_id else {}
    return Tenant.objects.create(
        name=config.default_tenant_name, slug=config.default_tenant_slug, **chosen_id
    )
