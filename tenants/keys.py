"""The ES256 key pair that signs API tokens."""

from __future__ import annotations

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tenants.installation import installation


def signing_key() -> ec.EllipticCurvePrivateKey:
    """Return this installation's private key."""
    return _parse(installation().jwt_private_key)


@lru_cache(maxsize=8)
def _parse(pem: str) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the configuration let a key pass that is not elliptic")
    return key
