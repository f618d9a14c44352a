"""Making an account: by oneself if that is allowed, or with the link of an invite."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import IntegrityError, transaction

from tenants import confirmation, mail, passwords
from tenants.installation import installation
from tenants.models import Member, Role, User
from tenants.people.accepting import ANOTHERS, accept_link, invite_of_link
from tenants.people.domains import is_of_allowed_domain
from tenants.people.first_start import alone_at_first_start, ensure_default_tenant
from tenants.people.refusals import Refused
from tenants.people.texts import clean_email, clean_name

SWITCHED_OFF = "signing up is switched off on this server: ask for an invite"
NO_PASSWORDS = "accounts with passwords are switched off on this server: use another way to sign in"
NOT_POSSIBLE = "an account for this address cannot be made; if you have one, sign in"
"""One sentence for every reason: it must not tell which accounts exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a person says of themselves; `link` is the secret of an invite's link, if they have one."""

    email: str
    name: str
    password: str = field(repr=False)
    link: str = field(default="", repr=False)


def may_sign_up() -> bool:
    """Whether somebody without an invite may register: if that is allowed, or nobody has yet."""
    return installation().people.allow_signup or not User.objects.exists()


def register(given: Registration) -> User:
    """Make an account. The first person of an installation becomes OWNER of its first tenant."""
    if not installation().sign_in.by_password:
        raise Refused(NO_PASSWORDS)
    if not given.link and not may_sign_up():
        raise Refused(SWITCHED_OFF)
    email, name = clean_email(given.email), clean_name(given.name)
    invite = invite_of_link(given.link) if given.link else None
    if invite is not None and invite.email != email:
        raise Refused(ANOTHERS, field="email")
    user = User(email=email, name=name)
    try:
        passwords.check(given.password, user)
    except passwords.PasswordRefused as error:
        raise Refused(str(error), field="password") from error
    # Hashing takes its time, which nobody is to be kept waiting for by a lock.
    user.set_password(given.password)
    with transaction.atomic():
        if invite is not None:
            _save(user, is_believed=invite.is_mailed)
            accept_link(user, given.link)
        elif not _save_first(user):
            if not is_of_allowed_domain(email):
                raise Refused(NOT_POSSIBLE, field="email")
            _save(user, is_believed=installation().people.set_email_verified)
    if not user.is_email_verified and mail.is_configured():
        confirmation.send_confirmation(user)
    return user


def _save_first(user: User) -> bool:
    """Save whoever comes first of all; False when somebody has come before."""
    if User.objects.exists():
        return False
    alone_at_first_start()
    if User.objects.exists():
        if not installation().people.allow_signup:
            raise Refused(SWITCHED_OFF)
        return False
    _save(user, is_believed=True)
    tenant = ensure_default_tenant(installation())
    if tenant is not None:
        Member.objects.create(tenant=tenant, user=user, role=Role.OWNER)
    return True


def _save(user: User, *, is_believed: bool) -> None:
    user.is_email_verified = user.is_email_proven = is_believed
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        raise Refused(NOT_POSSIBLE, field="email") from error
