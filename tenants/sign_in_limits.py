"""How often a password may be tried: counted in Postgres, for all web processes together.

Each counter runs for a window that begins with its first try:

- one address on one account stops somebody who guesses at a password;
- one address on all accounts stops somebody who tries a few passwords on many;
- all addresses on one account stop many machines that share the guessing.

The last would let such machines keep the owner out, for as long as they like. So a browser that has signed
in to an account before carries a signed cookie, and has a counter of its own in place of these three.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets

from django.conf import settings
from django.core import signing
from django.db import connection
from django.http import HttpRequest, HttpResponseBase

WINDOW_SECONDS = 300
TRIES_PER_ADDRESS_AND_ACCOUNT = 10
TRIES_PER_ADDRESS = 50
TRIES_PER_ACCOUNT = 50
TRIES_PER_KNOWN_BROWSER = 10
ASKS_PER_ADDRESS = 50
MAILS_PER_ACCOUNT = 3
CODES_PER_ACCOUNT = 10

_COOKIE_SALT = "tenants.known-browser"
_COOKIE_SECONDS = 365 * 24 * 3600
_LONGEST_EMAIL = 254

_COUNT = """
INSERT INTO tenants_signintries AS kept (subject, tries, expires_at)
SELECT subject, 1, now() + make_interval(secs => %(window)s)
FROM unnest(%(subjects)s::text[]) AS subject
ORDER BY subject
ON CONFLICT (subject) DO UPDATE SET
    tries = CASE WHEN kept.expires_at <= now() THEN 1 ELSE least(kept.tries + 1, 1000000) END,
    expires_at = CASE
        WHEN kept.expires_at <= now() THEN excluded.expires_at ELSE kept.expires_at
    END
RETURNING subject, tries
"""
# More than a try can add, so that names made up by the thousand do not stay.
_SWEEP = """
DELETE FROM tenants_signintries WHERE subject IN (
    SELECT subject FROM tenants_signintries WHERE expires_at <= now()
    ORDER BY subject LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
# Nothing else removes the sessions of those who never signed out.
_SWEEP_SESSIONS = """
DELETE FROM django_session WHERE session_key IN (
    SELECT session_key FROM django_session WHERE expire_date <= now()
    ORDER BY expire_date LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
_FORGET = "DELETE FROM tenants_signintries WHERE subject = ANY(%(subjects)s::text[])"
_TAKE_BACK = """
UPDATE tenants_signintries SET tries = greatest(tries - 1, 0) WHERE subject IN (
    SELECT subject FROM tenants_signintries
    WHERE subject = ANY(%(subjects)s::text[]) ORDER BY subject FOR UPDATE
)
"""


def may_try(request: HttpRequest, email: str) -> bool:
    """Count one try; False when there were too many lately. To be asked before a password is looked at."""
    with connection.cursor() as cursor:
        cursor.execute(_SWEEP)
    browser = _known_browser(request, email)
    if browser is not None:
        return _count({_browser(email, browser): TRIES_PER_KNOWN_BROWSER})
    address = address_of(request)
    own = {
        _subject("pair", address, email): TRIES_PER_ADDRESS_AND_ACCOUNT,
        _subject("address", address): TRIES_PER_ADDRESS,
    }
    # An address that had its share must not use up what the others have together.
    return _count(own) and _count({_subject("account", email): TRIES_PER_ACCOUNT})


def may_ask(request: HttpRequest, what: str) -> bool:
    """Count one request from this address for something that costs us a mail or a guess."""
    return _count({_subject(f"ask-{what}", address_of(request)): ASKS_PER_ADDRESS})


def may_be_mailed(what: str, email: str) -> bool:
    """Count one message of a kind to this address: others' requests must not fill somebody's inbox."""
    return _count({_subject(f"mail-{what}", email): MAILS_PER_ACCOUNT})


def may_try_code(email: str) -> bool:
    """Count one code of a second factor; whoever tries it knows the password already."""
    return _count({_subject("code", email): CODES_PER_ACCOUNT})


def may_register(request: HttpRequest, email: str) -> bool:
    """Count one try to make an account; it uses up nothing of what signing in to it has."""
    own = {_subject("registering", address_of(request)): TRIES_PER_ADDRESS}
    return _count(own) and _count({_subject("registered", email): TRIES_PER_ACCOUNT})


def welcome(request: HttpRequest, response: HttpResponseBase, email: str) -> None:
    """Forget the tries that led to a good sign-in, and let the browser be known from now on."""
    browser = _known_browser(request, email)
    address = address_of(request)
    forgotten = [_subject("pair", address, email)]
    if browser is not None:
        forgotten.append(_browser(email, browser))
    with connection.cursor() as cursor:
        cursor.execute(_SWEEP_SESSIONS)
        cursor.execute(_FORGET, {"subjects": forgotten})
        if browser is None:
            taken_back = [_subject("address", address), _subject("account", email)]
            cursor.execute(_TAKE_BACK, {"subjects": taken_back})
    response.set_cookie(
        _cookie_name(),
        signing.dumps(
            {"of": _digest(email), "id": browser or secrets.token_urlsafe(12)}, salt=_COOKIE_SALT
        ),
        max_age=_COOKIE_SECONDS,
        domain=settings.SESSION_COOKIE_DOMAIN,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _count(limits: dict[str, int]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"window": WINDOW_SECONDS, "subjects": list(limits)})
        return all(tries <= limits[subject] for subject, tries in cursor.fetchall())


def _known_browser(request: HttpRequest, email: str) -> str | None:
    """The name of a browser that signed in to this account before."""
    try:
        cookie = signing.loads(
            request.COOKIES.get(_cookie_name(), ""), salt=_COOKIE_SALT, max_age=_COOKIE_SECONDS
        )
    except signing.BadSignature:
        return None
    return str(cookie["id"]) if cookie["of"] == _digest(email) else None


def address_of(request: HttpRequest) -> str:
    """Whoever has one IPv6 address has the 2^64 of its network."""
    text = str(request.META.get("REMOTE_ADDR", ""))
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def _cookie_name() -> str:
    return f"{settings.SESSION_COOKIE_NAME}_browser"


def _browser(email: str, browser: str) -> str:
    return _subject("browser", email, browser)


def _subject(kind: str, *parts: str) -> str:
    return f"{kind}:{_digest(*parts)}"


def _digest(*parts: str) -> str:
    # What people type here may be long, strange or secret.
    text = "\0".join(part[: _LONGEST_EMAIL + 1] for part in parts)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
