"""Master keys: they encrypt the tenants' data keys, and nothing else.

One is a text of SERVER_ENCRYPTION_MASTER_KEYSET, from which the key is derived, or a key of AWS KMS, which
never leaves it. Whatever a data key is wrapped by has a name, which is kept beside it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine.errors import PayloadsAway
from engine.vault.envelope import KEY_BYTES, Unreadable

_NONCE_BYTES, _NAME_BYTES = 12, 8
_KMS = "kms:"
_CONNECT_SECONDS, _READ_SECONDS = 2, 5
_PAUSE_SECONDS = 1.0
"""After a failure KMS is not asked for so long: it is not to hold everything up."""


class Masters:
    """The master keys of this installation. The first wraps; all of them unwrap."""

    def __init__(self, keys: Sequence[str], kms_key_id: str | None = None) -> None:
        self._local = dict(map(_derived, keys))
        self._kms_key_id = kms_key_id
        self.name = f"{_KMS}{kms_key_id}" if kms_key_id else next(iter(self._local))
        """Of the one that wraps."""
        self._away_until = 0.0

    def unknown(self, names: Collection[str]) -> list[str]:
        """Return which of these names are of keys we do not have."""
        return sorted(name for name in names if not self._knows(name))

    def _knows(self, name: str) -> bool:
        return name in self._local or (name.startswith(_KMS) and self._kms_key_id is not None)

    def wrap(self, secret: bytes, tenant_id: UUID) -> bytes:
        """Encrypt a tenant's data key. PayloadsAway: KMS does not answer."""
        if self._kms_key_id:
            context = _context(tenant_id)
            answer = self._ask("encrypt", KeyId=self._kms_key_id, Plaintext=secret, **context)
            return bytes(answer["CiphertextBlob"])
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._local[self.name].encrypt(nonce, secret, tenant_id.bytes)

    def unwrap(self, wrapped: bytes, name: str, tenant_id: UUID) -> bytes:
        """Return a tenant's data key. Unreadable: none of ours wrapped it. PayloadsAway: as above."""
        if not self._knows(name):
            raise Unreadable("The payload's key is encrypted with a master key that is not here.")
        if name.startswith(_KMS):
            return bytes(
                self._ask("decrypt", CiphertextBlob=wrapped, **_context(tenant_id))["Plaintext"]
            )
        try:
            nonce, body = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
            return self._local[name].decrypt(nonce, body, tenant_id.bytes)
        except InvalidTag:
            raise Unreadable("The payload's key is damaged.") from None

    def _ask(self, method: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        if time.monotonic() < self._away_until:
            raise PayloadsAway("AWS KMS could not be reached a moment ago; try again")
        try:
            return getattr(self._client, method)(**arguments)
        except ClientError as error:
            if (
                method == "decrypt"
                and error.response["Error"]["Code"] == "InvalidCiphertextException"
            ):
                raise Unreadable("The payload's key is damaged.") from None
            raise PayloadsAway(f"AWS KMS refuses: {error}") from error
        except BotoCoreError as error:
            self._away_until = time.monotonic() + _PAUSE_SECONDS
            raise PayloadsAway(f"AWS KMS cannot be reached: {error}") from error

    @cached_property
    def _client(self) -> Any:
        # Who does not use KMS need not have it installed.
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"total_max_attempts": 1},
        )
        return boto3.client("kms", config=config)


def _context(tenant_id: UUID) -> dict[str, Any]:
    return {"EncryptionContext": {"hatchet-tenant": str(tenant_id)}}


def _derived(key: str) -> tuple[str, AESGCM]:
    """Return a key's name, which says nothing of it, and its cipher."""
    derivation = HKDF(
        algorithm=hashes.SHA256(),
        length=KEY_BYTES + _NAME_BYTES,
        salt=None,
        info=b"hatchet data keys",
    )
    secret = derivation.derive(key.encode())
    return f"local:{secret[KEY_BYTES:].hex()}", AESGCM(secret[:KEY_BYTES])
