"""How mail leaves this installation, as the environment says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import formataddr

from engine.environment import ConfigError, Environment

API_KEYS = {
    "postmark": "SERVER_KEY",
    "brevo": "API_KEY",
    "mailersend": "API_KEY",
    "mailgun": "API_KEY",
    "resend": "API_KEY",
    "sendgrid": "API_KEY",
    "sparkpost": "API_KEY",
}
"""Providers that take mail over HTTP, and how the variable of each one's key ends."""
KINDS = ("none", "console", "smtp", *API_KEYS)
SECURITIES = ("starttls", "tls", "none")
SENDER_NAME = "Hatchet Support"
LONGEST_NAME = 200
_TLS_PORT = 465
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailConfig:
    """`kind` none: no mail leaves; console: it is printed, for development."""

    kind: str
    sender: str = ""
    """Name and address, as a header holds them."""
    support_email: str = ""
    """Where answers go."""
    smtp_host: str = ""
    smtp_port: int = 0
    smtp_security: str = "none"
    username: str = ""
    password: str = field(default="", repr=False)
    """Of the SMTP server, or the key of the provider."""

    @classmethod
    def from_environment(cls, env: Environment) -> MailConfig:
        kind = _kind(env)
        if kind == "none":
            return cls(kind=kind)
        prefix = f"SERVER_EMAIL_{kind.upper()}"
        sender = _sender(env, prefix, kind)
        support_email = env.email(f"{prefix}_SUPPORT_EMAIL", "")
        if kind == "console":
            return cls(kind=kind, sender=sender, support_email=support_email)
        if kind == "smtp":
            return _smtp(env, prefix, sender, support_email)
        name = f"{prefix}_{API_KEYS[kind]}"
        key = env.text_or_file(name)
        if key is None:
            raise ConfigError(f"{name} is needed for SERVER_EMAIL_KIND={kind}.")
        return cls(kind=kind, sender=sender, support_email=support_email, password=key.strip())


def _kind(env: Environment) -> str:
    """The guide names the kind and switches it on; either of the two is enough."""
    switched_on = [
        kind
        for kind in ("postmark", "smtp")
        if env.flag(f"SERVER_EMAIL_{kind.upper()}_ENABLED", default=False)
    ]
    kind = env.choice("SERVER_EMAIL_KIND", next(iter(switched_on), "none"), KINDS)
    is_on = env.flag(f"SERVER_EMAIL_{kind.upper()}_ENABLED", default=True)
    return kind if is_on else "none"


def _sender(env: Environment, prefix: str, kind: str) -> str:
    name = env.short_text(f"{prefix}_FROM_NAME", SENDER_NAME, at_most=LONGEST_NAME)
    if not name.isprintable():
        raise ConfigError(f"{prefix}_FROM_NAME must be one line of text.")
    address = env.email(f"{prefix}_FROM_EMAIL", "hatchet@localhost" if kind == "console" else "")
    if not address:
        raise ConfigError(f"{prefix}_FROM_EMAIL is needed for SERVER_EMAIL_KIND={kind}.")
    return formataddr((name, address))


def _smtp(env: Environment, prefix: str, sender: str, support_email: str) -> MailConfig:
    server = env.host_and_port(f"{prefix}_SERVER_ADDR", "")
    host, _, port = server.rpartition(":")
    username = env.text(f"{prefix}_AUTH_USERNAME", "")
    password = env.text_or_file(f"{prefix}_AUTH_PASSWORD") or ""
    if bool(username) != bool(password):
        raise ConfigError(f"{prefix}_AUTH_USERNAME and {prefix}_AUTH_PASSWORD go together.")
    usual = "none" if host in _LOOPBACK else "starttls"
    usual = "tls" if int(port) == _TLS_PORT else usual
    return MailConfig(
        kind="smtp",
        sender=sender,
        support_email=support_email,
        smtp_host=host.strip("[]"),
        smtp_port=int(port),
        smtp_security=env.choice(f"{prefix}_SECURITY", usual, SECURITIES),
        username=username,
        password=password.strip(),
    )
