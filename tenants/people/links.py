"""The links of invites: a secret in an address, of which only a digest is kept."""

from __future__ import annotations

import hashlib
import secrets

from tenants import mail
from tenants.installation import installation
from tenants.models import TenantInvite
from tenants.sign_in_limits import may_be_mailed

_LONGEST = 200


def new_secret() -> str:
    return secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    return hashlib.sha256(secret[:_LONGEST].encode(errors="replace")).digest()


def address_of(secret: str) -> str:
    """Where the page is on which the invite is accepted."""
    return f"{installation().server_url}/invites/{secret}"


def mail_link(invite: TenantInvite, secret: str) -> bool:
    """Send the link to whom it is for; False: it has to be handed over in another way.

    So it is where mail does not leave, and when the address was written to a few times just now: whoever can
    invite must not fill somebody's inbox.
    """
    if not mail.is_configured() or not may_be_mailed("invite", invite.email):
        return False
    inviter = invite.invited_by
    by = "Somebody" if inviter is None else f"{inviter.name or inviter.email} ({inviter.email})"
    name = invite.tenant.name
    text = (
        f"{by} invites you to join {name} on Hatchet as {invite.role}.\n\n"
        f"Open this page to accept or to decline:\n\n{address_of(secret)}\n\n"
        f"The link is yours alone; it can be used until {invite.expires_at:%d %B %Y, %H:%M} UTC.\n"
        "If you do not know what this is about, do nothing.\n"
    )
    return mail.send_message(invite.email, f"Invitation to {name} on Hatchet", text)
