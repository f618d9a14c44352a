"""The few facts about this installation that tenants needs, read from Django's settings."""

from __future__ import annotations

from typing import Protocol, cast
from uuid import UUID

from django.conf import settings


class Mail(Protocol):
    """What a message needs to know besides Django's own settings of mail."""

    @property
    def support_email(self) -> str:
        """Where answers go; empty: to the sender."""


class People(Protocol):
    """What people may do by themselves."""

    @property
    def allow_signup(self) -> bool: ...

    @property
    def allow_invites(self) -> bool: ...

    @property
    def allow_create_tenant(self) -> bool: ...

    @property
    def allow_change_password(self) -> bool: ...

    @property
    def max_pending_invites(self) -> int: ...

    @property
    def set_email_verified(self) -> bool: ...

    @property
    def email_domains(self) -> tuple[str, ...]: ...


class Provider(Protocol):
    """A service that says who somebody is."""

    @property
    def client_id(self) -> str: ...

    @property
    def client_secret(self) -> str: ...

    @property
    def scopes(self) -> tuple[str, ...]: ...


class OidcProvider(Provider, Protocol):
    @property
    def issuer(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def groups_claim(self) -> str: ...

    @property
    def group_roles(self) -> tuple[tuple[str, str, str], ...]: ...


class SignIn(Protocol):
    """How people sign in."""

    @property
    def by_password(self) -> bool: ...

    @property
    def schemes(self) -> tuple[str, ...]: ...

    @property
    def google(self) -> Provider | None: ...

    @property
    def github(self) -> Provider | None: ...

    @property
    def oidc(self) -> OidcProvider | None: ...


class Installation(Protocol):
    """The part of `settings.HATCHET` that tokens, users and the first start depend on."""

    @property
    def server_url(self) -> str: ...

    @property
    def grpc_broadcast_address(self) -> str: ...

    @property
    def allowed_origins(self) -> tuple[str, ...]: ...

    @property
    def jwt_private_key(self) -> str: ...

    @property
    def grpc_max_message_bytes(self) -> int:
        """Also the largest body the REST API takes: an input must fit into either."""

    @property
    def admin_email(self) -> str: ...

    @property
    def admin_password(self) -> str: ...

    @property
    def admin_name(self) -> str: ...

    @property
    def default_tenant_id(self) -> UUID | None: ...

    @property
    def default_tenant_name(self) -> str: ...

    @property
    def default_tenant_slug(self) -> str: ...

    @property
    def mail(self) -> Mail: ...

    @property
    def people(self) -> People: ...

    @property
    def sign_in(self) -> SignIn: ...


def installation() -> Installation:
    return cast("Installation", settings.HATCHET)
