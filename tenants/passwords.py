"""Passwords: what is accepted as one, changing it, and a new one by mail for who forgot it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from tenants import mail
from tenants.installation import installation
from tenants.models import User
from tenants.sessions import end_sessions, note_sign_in

LONGEST = 1024
"""Hashing a longer one would cost more than its length is worth."""

_RESET_MAIL = """Somebody asked for a new password of {email} at {server}.

Choose one here, within an hour:

{link}

If that was not you, do nothing: your password stays as it is.
"""
_CHANGED_MAIL = """The password of {email} at {server} was changed. All other sessions were signed out.

If that was not you, ask for a new password at once:

{server}
"""


class PasswordRefused(Exception):
    """Why a password is not taken, in sentences for the person who chose it."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


def is_of(user: User, password: str) -> bool:
    """Whether this is the person's present password."""
    return len(password) <= LONGEST and user.check_password(password)


def check(password: str, user: User) -> None:
    """Raise PasswordRefused for a password that this person may not choose."""
    if len(password) > LONGEST or "\0" in password:
        raise PasswordRefused(f"A password has at most {LONGEST} characters and no NUL.")
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordRefused(*error.messages) from None


def change(request: HttpRequest, user: User, old: str, new: str) -> None:
    """Replace the password of who is signed in. Only the session that did it goes on."""
    with transaction.atomic():
        kept = User.objects.select_for_update().get(id=user.id)
        if not is_of(kept, old):
            raise PasswordRefused("The present password is wrong.")
        check(new, kept)
        kept.set_password(new)
        kept.save(update_fields=["password", "updated_at"])
        end_sessions(kept, but=request.session.session_key)
        update_session_auth_hash(request, kept)
        note_sign_in(User, request, kept)
    _tell_of_change(kept)


def send_reset(email: str, link_of: Callable[[str], str]) -> None:
    """Mail a link to choose a new password with, if there is such a person. Takes as long if there is not."""
    user = User.objects.filter(email=email, is_active=True).first()
    if user is None:
        return
    code = f"{user.id.hex}-{default_token_generator.make_token(user)}"
    text = _RESET_MAIL.format(email=user.email, server=_server(), link=link_of(code))
    mail.send_soon(user.email, "Choose a new password", text)


def user_of_reset(code: str) -> User | None:
    """Return whose password this link may change, None when it is old, was used or is made up."""
    return _user_of(code, for_update=False)


def reset(code: str, new: str) -> bool:
    """Give the person of a link a new password and end all their sessions; False for a link as above."""
    with transaction.atomic():
        user = _user_of(code, for_update=True)
        if user is None:
            return False
        check(new, user)
        user.set_password(new)
        # The link went to this address and nowhere else.
        user.is_email_verified = user.is_email_proven = True
        user.save(update_fields=["password", "is_email_verified", "is_email_proven", "updated_at"])
        end_sessions(user)
    _tell_of_change(user)
    return True


def _user_of(code: str, *, for_update: bool) -> User | None:
    user_id, _, token = code.partition("-")
    try:
        found = UUID(hex=user_id)
    except ValueError:
        return None
    users = User.objects.select_for_update() if for_update else User.objects.all()
    user = users.filter(id=found, is_active=True).first()
    return user if default_token_generator.check_token(user, token) else None


def _tell_of_change(user: User) -> None:
    if mail.is_configured():
        text = _CHANGED_MAIL.format(email=user.email, server=_server())
        mail.send_soon(user.email, "Your password was changed", text)


def _server() -> str:
    return installation().server_url
