"""A second factor: codes of an authenticator app, and recovery codes for when it is lost.

allauth keeps the secrets, encrypted, and computes the codes. That each works once is seen to here: under a
lock in the database, as several web processes serve one person.
"""

from __future__ import annotations

import base64
from secrets import compare_digest

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.mfa.utils import decrypt
from django.db import transaction
from django.utils import timezone

from tenants import mail
from tenants.installation import installation
from tenants.models import User

_OURS = (Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES)
_LONGEST_CODE = 40
_LAST_STEP = "last_step"

_TOLD = """The second factor of {email} at {server} was {what}.

If that was not you, change your password at once.
"""


def is_set_up(user: User) -> bool:
    return bool(Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists())


def new_secret() -> str:
    return str(generate_totp_secret())


def qr_code(user: User, secret: str) -> str:
    """What an app scans, as the address of an image."""
    adapter = get_adapter()
    image = adapter.build_totp_svg(adapter.build_totp_url(user, secret))
    return "data:image/svg+xml;base64," + base64.b64encode(image.encode()).decode()


def set_up(user: User, secret: str, code: str) -> list[str] | None:
    """Ask for codes of this secret from now on, and return recovery codes; None for a wrong code."""
    step = _step_of(secret, _typed(code)) if secret else None
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(id=user.id)
        if step is None or is_set_up(user):
            return None
        kept = TOTP.activate(user, secret).instance
        kept.data[_LAST_STEP] = step
        kept.save(update_fields=["data"])
        codes = new_recovery_codes(user)
    _tell(user, "set up")
    return codes


def check(user: User, code: str) -> bool:
    """Whether this is a code of the person's app or a recovery code, and was not used before."""
    typed = _typed(code)
    with transaction.atomic():
        kept = {
            one.type: one for one in Authenticator.objects.select_for_update().filter(user=user)
        }
        app = kept.get(Authenticator.Type.TOTP)
        if app is None:
            return False
        recovery = kept.get(Authenticator.Type.RECOVERY_CODES)
        return _is_of_app(app, typed) or (
            recovery is not None and RecoveryCodes(recovery).validate_code(typed)
        )


def new_recovery_codes(user: User) -> list[str]:
    """Replace the recovery codes, used and unused."""
    with transaction.atomic():
        Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).delete()
        return list(RecoveryCodes.activate(user).generate_codes())


def recovery_codes_left(user: User) -> int:
    kept = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    return len(RecoveryCodes(kept).get_unused_codes()) if kept else 0


def remove(user: User) -> None:
    Authenticator.objects.filter(user=user, type__in=_OURS).delete()
    _tell(user, "removed")


def _is_of_app(app: Authenticator, typed: str) -> bool:
    step = _step_of(decrypt(app.data["secret"]), typed)
    if step is None or step <= app.data.get(_LAST_STEP, 0):
        return False
    app.data[_LAST_STEP] = step
    app.last_used_at = timezone.now()
    app.save(update_fields=["data", "last_used_at"])
    return True


def _step_of(secret: str, typed: str) -> int | None:
    """The step of time whose code this is, if it is about now."""
    for step in yield_hotp_counters_from_time():
        if compare_digest(format_hotp_value(hotp_value(secret, step)), typed):
            return int(step)
    return None


def _typed(code: str) -> str:
    """Apps show blanks in the middle. What is no code at all becomes one that never fits."""
    typed = "".join(code[:_LONGEST_CODE].split())
    return typed if typed.isascii() else ""


def _tell(user: User, what: str) -> None:
    if mail.is_configured():
        text = _TOLD.format(email=user.email, server=installation().server_url, what=what)
        mail.send_soon(user.email, f"Your second factor was {what}", text)
