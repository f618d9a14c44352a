"""How people sign in, as the environment says it: by password, and with which providers."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from engine.environment import ConfigError, Environment

ROLES = ("OWNER", "ADMIN", "MEMBER", "VIEWER")
LONGEST_NAME = 100
_SCOPES = {
    "GOOGLE": ("openid", "profile", "email"),
    "GITHUB": ("read:user", "user:email"),
    "OIDC": ("openid", "profile", "email"),
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """A service that says who somebody is."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcConfig(ProviderConfig):
    """A provider of OpenID Connect that the operator chose; it may also say who has which role."""

    issuer: str
    name: str
    """What the button says."""
    groups_claim: str
    group_roles: tuple[tuple[str, str, str], ...]
    """Group, slug of a tenant, role."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInConfig:
    """At least one way in is open."""

    by_password: bool
    google: ProviderConfig | None
    github: ProviderConfig | None
    oidc: OidcConfig | None

    @property
    def schemes(self) -> tuple[str, ...]:
        """What the API calls the ways in."""
        named = (("google", self.google), ("github", self.github), ("oidc", self.oidc))
        others = tuple(name for name, provider in named if provider is not None)
        return ("basic", *others) if self.by_password else others

    @classmethod
    def from_environment(cls, env: Environment) -> SignInConfig:
        config = cls(
            by_password=env.flag("SERVER_AUTH_BASIC_AUTH_ENABLED", default=True),
            google=_provider(env, "GOOGLE"),
            github=_provider(env, "GITHUB"),
            oidc=_oidc(env),
        )
        if not config.schemes:
            raise ConfigError(
                "SERVER_AUTH_BASIC_AUTH_ENABLED=false needs another way to sign in, "
                "such as SERVER_AUTH_OIDC_ENABLED."
            )
        return config


def _provider(env: Environment, name: str) -> ProviderConfig | None:
    prefix = f"SERVER_AUTH_{name}"
    if not env.flag(f"{prefix}_ENABLED", default=False):
        return None
    return ProviderConfig(
        client_id=env.needed(prefix, "CLIENT_ID"),
        client_secret=env.needed(prefix, "CLIENT_SECRET"),
        scopes=env.listed(f"{prefix}_SCOPES", _SCOPES[name]),
    )


def _oidc(env: Environment) -> OidcConfig | None:
    base = _provider(env, "OIDC")
    if base is None:
        return None
    return OidcConfig(
        client_id=base.client_id,
        client_secret=base.client_secret,
        scopes=base.scopes,
        issuer=_issuer(env),
        name=env.short_text("SERVER_AUTH_OIDC_NAME", "single sign-on", at_most=LONGEST_NAME),
        groups_claim=env.text("SERVER_AUTH_OIDC_GROUPS_CLAIM", "groups"),
        group_roles=_group_roles(env, "SERVER_AUTH_OIDC_GROUP_ROLES"),
    )


def _issuer(env: Environment) -> str:
    """What the provider signs its tokens with as their origin, and where its description is found."""
    value = env.needed("SERVER_AUTH_OIDC", "ISSUER")
    parts = urlsplit(value)
    is_right = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not is_right or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(
            f"SERVER_AUTH_OIDC_ISSUER must be an https URL without a query, not {value!r}."
        )
    return value


def _group_roles(env: Environment, name: str) -> tuple[tuple[str, str, str], ...]:
    """`group=tenant:ROLE`, separated by commas; groups may have spaces in their names."""
    found = []
    for entry in (env.optional(name) or "").split(","):
        group, _, place = entry.strip().rpartition("=")
        tenant, _, role = place.partition(":")
        if not entry.strip():
            continue
        if not (group.strip() and tenant.strip()) or role.strip().upper() not in ROLES:
            raise ConfigError(
                f"{name} must hold entries such as staff=default:MEMBER, not {entry.strip()!r}."
            )
        found.append((group.strip(), tenant.strip(), role.strip().upper()))
    return tuple(found)
