"""Whether an e-mail address belongs to who gave it: a signed link goes there, and comes back."""

from __future__ import annotations

from uuid import UUID

from django.core import signing
from django.urls import reverse

from tenants import mail
from tenants.installation import installation
from tenants.models import User

LIFETIME_SECONDS = 3 * 24 * 3600
_SALT = "tenants.confirmation"

_MAIL = """Somebody signed up at {server} with the address {email}.

If that was you, confirm the address here, within three days:

{link}

If not, do nothing.
"""


def address_of(code: str) -> str:
    """Where the page is on which an address is confirmed."""
    return installation().server_url + reverse("dashboard:confirm", args=[code])


def send_confirmation(user: User) -> bool:
    """Mail a link to a person whose address is not confirmed; False when it will not leave."""
    code = signing.dumps([str(user.id), user.email], salt=_SALT)
    text = _MAIL.format(server=installation().server_url, email=user.email, link=address_of(code))
    return mail.send_soon(user.email, "Confirm your e-mail address", text)


def is_of_somebody(code: str) -> bool:
    """Whether a link is one of ours, not too old, and of an address that somebody has."""
    return _user_of(code) is not None


def confirm(code: str) -> bool:
    """Take the address of a link as confirmed; False when the link is not good."""
    user = _user_of(code)
    if user is None:
        return False
    user.is_email_verified = user.is_email_proven = True
    user.save(update_fields=["is_email_verified", "is_email_proven", "updated_at"])
    return True


def _user_of(code: str) -> User | None:
    try:
        user_id, email = signing.loads(code, salt=_SALT, max_age=LIFETIME_SECONDS)
    except signing.BadSignature:
        return None
    return User.objects.filter(id=UUID(user_id), email=email, is_active=True).first()
