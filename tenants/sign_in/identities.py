"""The other services that a person has signed in with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from allauth.socialaccount.models import SocialAccount

from tenants.installation import installation
from tenants.models import User


@dataclass(frozen=True, slots=True)
class Identity:
    name: str
    since: datetime
    last_used_at: datetime


def names_of_services() -> dict[str, str]:
    """What the services that people may sign in with are called, by scheme."""
    sign_in = installation().sign_in
    names = {"google": "Google", "github": "GitHub"}
    if sign_in.oidc is not None:
        names["oidc"] = sign_in.oidc.name
    return {scheme: names[scheme] for scheme in sign_in.schemes if scheme in names}


def identities_of(user: User) -> list[Identity]:
    names = names_of_services()
    return [
        Identity(names.get(one.provider, one.provider), one.date_joined, one.last_login)
        for one in SocialAccount.objects.filter(user=user).order_by("date_joined")
    ]
