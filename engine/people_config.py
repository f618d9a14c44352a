"""Who may register, invite, create tenants and change passwords, as the environment says."""

from __future__ import annotations

from dataclasses import dataclass

from engine.environment import Environment

MOST_PENDING_INVITES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleConfig:
    """What people may do by themselves. Whoever holds the link of an invite may always register."""

    allow_signup: bool
    allow_invites: bool
    allow_create_tenant: bool
    allow_change_password: bool
    max_pending_invites: int
    """Of one tenant."""
    set_email_verified: bool
    """Whether addresses of people who register are taken as their own without a proof."""
    email_domains: tuple[str, ...]
    """Only addresses of these may register; none: any."""

    @classmethod
    def from_environment(cls, env: Environment) -> PeopleConfig:
        domains = env.host_names("SERVER_AUTH_RESTRICTED_EMAIL_DOMAINS")
        return cls(
            allow_signup=env.flag("SERVER_ALLOW_SIGNUP", default=False),
            allow_invites=env.flag("SERVER_ALLOW_INVITES", default=True),
            allow_create_tenant=env.flag("SERVER_ALLOW_CREATE_TENANT", default=True),
            allow_change_password=env.flag("SERVER_ALLOW_CHANGE_PASSWORD", default=True),
            max_pending_invites=env.integer(
                "SERVER_MAX_PENDING_INVITES", 100, at_least=1, at_most=MOST_PENDING_INVITES
            ),
            set_email_verified=env.flag("SERVER_AUTH_SET_EMAIL_VERIFIED", default=False),
            email_domains=tuple(domain.lower() for domain in domains if domain != "*"),
        )
