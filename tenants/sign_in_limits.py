"""How often a password may be tried, per address and per account."""

from __future__ import annotations

import hashlib

from django.core.cache import cache

WINDOW_SECONDS = 300
TRIES_PER_ACCOUNT = 10
TRIES_PER_ADDRESS = 50


def may_try(address: str, email: str) -> bool:
    """Count one try; False when the address or the account has had too many lately."""
    within_address = _count("address", address) <= TRIES_PER_ADDRESS
    within_account = _count("account", email) <= TRIES_PER_ACCOUNT
    return within_address and within_account


def forgive(email: str) -> None:
    """Forget an account's tries after a good sign-in."""
    cache.delete(_key("account", email))


def _count(kind: str, subject: str) -> int:
    key = _key(kind, subject)
    cache.add(key, 0, timeout=WINDOW_SECONDS)
    try:
        return int(cache.incr(key))
    except ValueError:  # it expired between the two calls
        return 1


def _key(kind: str, subject: str) -> str:
    # Hashed: what people type here may be long, strange or secret.
    return f"sign-in:{kind}:{hashlib.sha256(subject.encode()).hexdigest()}"
