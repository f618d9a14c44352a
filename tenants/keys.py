"""The ES256 key pair that signs API tokens: one file, made by whichever process starts first."""

from __future__ import annotations

import os
import secrets
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tenants.installation import installation

KEY_FILE_NAME = "api_token_key.pem"


class KeyUnusable(Exception):
    """The key file is not a P-256 private key in PEM form."""


def signing_key() -> ec.EllipticCurvePrivateKey:
    """Return this installation's private key, creating it on first use."""
    return load_or_create(Path(installation().data_dir) / KEY_FILE_NAME)


@lru_cache(maxsize=8)
def load_or_create(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        _create(path)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise KeyUnusable(f"{path} is not a private key in PEM form") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyUnusable(f"{path} must hold a P-256 (ES256) private key")
    return key


def _create(path: Path) -> None:
    """Write a new key with mode 0600. Of several processes starting at once, the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # link() refuses to replace a file, so nobody can overwrite a key that is in use.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
