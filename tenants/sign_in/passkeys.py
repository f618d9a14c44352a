"""Passkeys: keys in a device that checks who holds it, so that one of them is both factors.

allauth speaks WebAuthn. A challenge belongs to one session and works once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from tenants import mail
from tenants.installation import installation
from tenants.models import User
from tenants.sign_in.allauth_request import as_allauth_wants

MOST = 20
LONGEST_NAME = 100
LONGEST_CREDENTIAL = 20_000
_MISSHAPEN = (AttributeError, KeyError, TypeError, ValidationError, ValueError)
"""What comes of a credential that is none, or of another challenge, place or person."""

_TOLD = """A passkey of {email} at {server} was {what}: {name}

If that was not you, change your password at once, and look at the passkeys of your account.
"""


@dataclass(frozen=True, slots=True)
class Passkey:
    id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


def passkeys_of(user: User) -> list[Passkey]:
    return [
        Passkey(row.id, row.data["name"], row.created_at, row.last_used_at)
        for row in _rows(user).order_by("created_at", "id")
    ]


def options_to_add(request: HttpRequest, user: User) -> bytes:
    """What a browser has to know to make a passkey, as JSON."""
    with as_allauth_wants(request):
        return orjson.dumps(auth.begin_registration(user, passwordless=True))


def add(request: HttpRequest, user: User, name: str, credential: str) -> bool:
    """Take a passkey that was made for the last options of this session; False for anything else."""
    if (
        not name
        or len(name) > LONGEST_NAME
        or not name.isprintable()
        or _rows(user).count() >= MOST
    ):
        return False
    try:
        with as_allauth_wants(request):
            made = _parsed(credential)
            auth.complete_registration(made)
            auth.WebAuthn.add(user, name, made)
    except _MISSHAPEN:
        return False
    _tell(user, "added", name)
    return True


def remove(user: User, passkey_id: int) -> bool:
    """False when the person has no such passkey."""
    row = _rows(user).filter(id=passkey_id).first()
    if row is None:
        return False
    row.delete()
    _tell(user, "removed", row.data["name"])
    return True


def options_to_sign_in(request: HttpRequest) -> bytes:
    """What a browser has to know to offer the passkeys that it has for this site, as JSON."""
    with as_allauth_wants(request):
        return orjson.dumps(auth.begin_authentication())


def user_of(request: HttpRequest, credential: str) -> User | None:
    """Return who signed the last challenge of this session with a passkey of theirs."""
    try:
        with as_allauth_wants(request):
            signed = _parsed(credential)
            user = auth.extract_user_from_response(signed)
            used = auth.complete_authentication(user, signed)
    except _MISSHAPEN:
        return None
    if not isinstance(user, User) or not user.is_active:
        return None
    used.record_usage()
    return user


def _rows(user: User) -> Any:
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN)


def _parsed(credential: str) -> dict[str, Any]:
    if len(credential) > LONGEST_CREDENTIAL:
        raise ValueError("no credential is that long")
    parsed = orjson.loads(credential)
    if not isinstance(parsed, dict):
        raise TypeError("a credential is an object")
    return parsed


def _tell(user: User, what: str, name: str) -> None:
    if mail.is_configured():
        server = installation().server_url
        text = _TOLD.format(email=user.email, server=server, what=what, name=name)
        mail.send_soon(user.email, f"A passkey was {what}", text)
