"""Encrypts the secrets that senders and we share, so that neither a dump nor a row tells them."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_PURPOSE = b"hatchet webhooks"


class SecretUnreadable(Exception):
    """No key of the configuration decrypts it."""


def encrypt(secret: str) -> bytes:
    return _cipher(settings.HATCHET.encryption_keys).encrypt(secret.encode())


def decrypt(encrypted: bytes) -> str:
    """Return the secret. SecretUnreadable: it was encrypted with a key we no longer have."""
    return _decrypted(settings.HATCHET.encryption_keys, encrypted)


def encrypt_anew(encrypted: bytes) -> bytes:
    """Return the same secret under the first key. SecretUnreadable as above."""
    return encrypt(decrypt(encrypted))


@lru_cache(maxsize=1_024)
def _decrypted(keys: tuple[str, ...], encrypted: bytes) -> str:
    try:
        return _cipher(keys).decrypt(encrypted).decode()
    except InvalidToken:
        raise SecretUnreadable("no key of SERVER_ENCRYPTION_MASTER_KEYSET fits") from None


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    """Keys are texts of any kind; what the cipher is given is derived from them."""
    return MultiFernet([Fernet(_derived(key)) for key in keys])


def _derived(key: str) -> bytes:
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
