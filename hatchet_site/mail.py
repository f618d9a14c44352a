"""Django's settings of mail."""

from __future__ import annotations

from typing import Any

from engine.mail_config import MailConfig

TIMEOUT_SECONDS = 5
_DJANGO = {"none": "dummy", "console": "console", "smtp": "smtp"}
_KEYS = {
    "postmark": "POSTMARK_SERVER_TOKEN",
    "brevo": "BREVO_API_KEY",
    "mailersend": "MAILERSEND_API_TOKEN",
    "mailgun": "MAILGUN_API_KEY",
    "resend": "RESEND_API_KEY",
    "sendgrid": "SENDGRID_API_KEY",
    "sparkpost": "SPARKPOST_API_KEY",
}


def mail_backend(kind: str) -> str:
    """The class that sends: one of Django's own, or one of django-anymail."""
    if kind in _DJANGO:
        return f"django.core.mail.backends.{_DJANGO[kind]}.EmailBackend"
    return f"anymail.backends.{kind}.EmailBackend"


def anymail_settings(mail: MailConfig) -> dict[str, Any]:
    if mail.kind not in _KEYS:
        return {}
    return {_KEYS[mail.kind]: mail.password, "REQUESTS_TIMEOUT": TIMEOUT_SECONDS}
