"""Who is let in of those that another service names, and as which of our people."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import IntegrityError, transaction

from tenants import mail
from tenants.audit.actors import Actor
from tenants.audit.declared import Changes
from tenants.audit.models import ActorKind
from tenants.audit.recording import recorded_changes
from tenants.installation import installation
from tenants.models import User
from tenants.people.accepting import has_invite
from tenants.people.domains import is_of_allowed_domain
from tenants.people.refusals import Refused
from tenants.sign_in.groups import apply_groups, roles_of

ADMIT = Changes("user.register")
LONGEST_NAME = 200
LONGEST_EMAIL = 254


@dataclass(frozen=True, slots=True)
class Profile:
    """What a service says about somebody; `groups` is None where it says nothing of groups."""

    email: str
    is_email_verified: bool
    name: str = ""
    groups: frozenset[str] | None = None

    @property
    def address(self) -> str:
        return self.email.lower().strip()


def admit(profile: Profile, known: User | None) -> User:
    """Return the person to sign in: who came with this identity before, who has the address, or a new one.

    An address counts only if the service has verified it, and an account that somebody made with an
    address they never proved is not handed over with it.
    """
    if not is_of_allowed_domain(profile.address):
        raise Refused("Addresses of this domain may not sign in here.")
    actor = Actor(ActorKind.PERSON, str(known.id) if known else "", profile.address)
    with recorded_changes(ADMIT, actor, None):
        user = known or _of_address(profile) or _new(profile)
        if not user.is_active:
            raise Refused("This account is switched off.")
        if profile.groups is not None:
            apply_groups(user, profile.groups)
    return user


def _of_address(profile: Profile) -> User | None:
    address = profile.address
    if not mail.is_address(address) or len(address) > LONGEST_EMAIL:
        raise Refused("The other service gave no e-mail address.")
    if not profile.is_email_verified:
        raise Refused("The other service has not verified your e-mail address.")
    user = User.objects.filter(email=address).first()
    if user is not None and not (user.is_email_proven and user.is_email_verified):
        raise Refused(
            "An account with this address exists, and nobody has proven that the address is theirs. "
            "Choose a new password by mail once; after that you can sign in this way."
        )
    return user


def _new(profile: Profile) -> User:
    """Make an account for who may have one: anybody, the invited, or members of a group with a role."""
    address = profile.address
    may_sign_up = installation().people.allow_signup
    if not (may_sign_up or has_invite(address) or roles_of(profile.groups or frozenset())):
        raise Refused(f"Nobody here knows {address}. Ask for an invite to this address.")
    name = "".join(sign for sign in profile.name if sign.isprintable())[:LONGEST_NAME]
    try:
        with transaction.atomic():
            return User.objects.create_user(address, None, name=name.strip())
    except IntegrityError:  # it came in twice at once
        return User.objects.get(email=address)
