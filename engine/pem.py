"""Keys and certificates as PEM texts: what they hold, and whether they belong together."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

# An encrypted key is a TypeError: it wants a password.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)


def new_signing_key() -> str:
    """A fresh P-256 private key in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def signing_key_half(private: str) -> PublicKeyTypes | None:
    """Return the public half of a P-256 private key, None for anything else."""
    try:
        key = load_pem_private_key(private.encode(), password=None)
    except _UNREADABLE:
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    return key.public_key()


def public_half(private: str) -> PublicKeyTypes | None:
    """Return the public half of any private key that has no password, None for anything else."""
    try:
        return load_pem_private_key(private.encode(), password=None).public_key()
    except _UNREADABLE:
        return None


def public_key(text: str) -> PublicKeyTypes | None:
    try:
        return load_pem_public_key(text.encode())
    except _UNREADABLE:
        return None


def certified_key(certificates: str) -> PublicKeyTypes | None:
    """Return the key that the first of the certificates is for, None if they cannot be read."""
    try:
        return x509.load_pem_x509_certificates(certificates.encode())[0].public_key()
    except _UNREADABLE:
        return None
