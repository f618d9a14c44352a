"""Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

PREFIX = "whsec_"
_KEY_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the key that a secret spells. ValueError, with a sentence: it spells none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(
            f"must be {PREFIX} and the base64 of {_FEWEST_BYTES} to {_MOST_BYTES} random bytes"
        )
    return key


def name_of(message_id: UUID) -> str:
    """What receivers know a message by, the same at each attempt."""
    return f"msg_{message_id.hex}"


def signed_headers(
    message_id: UUID, body: bytes, secrets_in_use: Iterable[str], now: datetime
) -> Mapping[str, str]:
    """Return the three headers; each secret in use signs."""
    name, seconds = name_of(message_id), str(int(now.timestamp()))
    content = b".".join((name.encode(), seconds.encode(), body))
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key_of(secret), content, "sha256")).decode()
        for secret in secrets_in_use
    ]
    return {
        "webhook-id": name,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(signatures),
    }
