"""The bytes of payloads that are not stored as they came: encrypted ones, and references to objects.

Both begin with a NUL, which no JSON text has, the number of their form and the length of the payload; the
SQL function `engine_payload_length` reads that. What an encrypted one says before its ciphertext is
authenticated with it.
"""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.domain.payload import MARK

KEY_BYTES = 32
_ENCRYPTED, _ENCRYPTED_COMPRESSED = 1, 2
_SALT_BYTES = 16
_HEAD = struct.Struct("!cBQ16s16sQ")
"""Mark, form, length, id of the data key, salt, number of the message under that salt."""
_PURPOSE = b"hatchet payloads"
_WORTH_COMPRESSING = 2_000
"""Postgres compresses what is longer, and cannot compress what is encrypted."""


class Unreadable(Exception):
    """A stored payload cannot be had any more; the message is one sentence for whoever asked for it."""


class SealingKey:
    """Encrypts with one data key of a tenant.

    Each process takes a salt of its own, from which and the data key its cipher is derived, and counts its
    messages: no number of payloads makes two of them share a nonce.
    """

    def __init__(self, key_id: UUID, secret: bytes) -> None:
        self._key_id, self._secret = key_id.bytes, secret
        self._begun = self._begin()

    def _begin(self) -> tuple[int, bytes, AESGCM, itertools.count[int]]:
        salt = os.urandom(_SALT_BYTES)
        return os.getpid(), salt, _cipher(self._secret, salt), itertools.count()

    def seal(self, plain: bytes) -> bytes:
        begun = self._begun
        if begun[0] != os.getpid():  # a copy of the process must not go on counting
            begun = self._begun = self._begin()
        _, salt, cipher, numbers = begun
        form, body = _ENCRYPTED, plain
        if len(plain) > _WORTH_COMPRESSING:
            shorter = zlib.compress(plain, 1)
            if len(shorter) < len(plain):
                form, body = _ENCRYPTED_COMPRESSED, shorter
        number = next(numbers)
        head = _HEAD.pack(MARK, form, len(plain), self._key_id, salt, number)
        return head + cipher.encrypt(_nonce(number), body, head)


def is_sealed(stored: bytes) -> bool:
    """Whether it is encrypted. What is too short to be read is none of it."""
    is_of_form = stored[:1] == MARK and stored[1:2] in (b"\1", b"\2")
    return is_of_form and len(stored) >= _HEAD.size


def key_of(stored: bytes) -> UUID:
    """Return the id of the data key that an encrypted payload says."""
    return UUID(bytes=_HEAD.unpack_from(stored)[3])


def length_of(stored: bytes) -> int:
    """Return how long an encrypted payload is."""
    length: int = _HEAD.unpack_from(stored)[2]
    return length


def unseal(stored: bytes, secret_of: Callable[[UUID], bytes]) -> bytes:
    """Return the payload. Unreadable: it was changed, or `secret_of` has no key for it."""
    _, form, length, key_id, salt, number = _HEAD.unpack_from(stored)
    cipher = _cipher(secret_of(UUID(bytes=key_id)), salt)
    try:
        body = cipher.decrypt(_nonce(number), stored[_HEAD.size :], stored[: _HEAD.size])
    except InvalidTag:
        raise Unreadable("The stored payload is damaged: it is not what was encrypted.") from None
    return zlib.decompress(body, bufsize=length) if form == _ENCRYPTED_COMPRESSED else body


def _nonce(number: int) -> bytes:
    return number.to_bytes(12)


@lru_cache(maxsize=10_000)
def _cipher(secret: bytes, salt: bytes) -> AESGCM:
    derivation = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=salt, info=_PURPOSE)
    return AESGCM(derivation.derive(secret))
