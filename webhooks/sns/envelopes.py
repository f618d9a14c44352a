"""What Amazon SNS sends, and whether it does: the signature of an envelope by the certificate it names."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

NOTIFICATION = "Notification"
CONFIRMATIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
_SIGNED: Mapping[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        CONFIRMATIONS,
        ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {"1": hashes.SHA1, "2": hashes.SHA256}
_AMAZON = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(\.cn)?")
_SECONDS = 10.0
_MOST_BYTES = 100_000


class Malformed(Exception):
    """No envelope of SNS."""


class Forged(Exception):
    """Not signed by Amazon SNS."""


class Unreachable(Exception):
    """Amazon SNS could not be asked; it will send again."""


def topic_of(envelope: Mapping[str, Any]) -> str:
    """Return the topic of an envelope that has all of its parts. Malformed: it has not."""
    kind = envelope.get("Type")
    if not isinstance(kind, str) or kind not in _SIGNED:
        raise Malformed(f"Type must be one of {', '.join(_SIGNED)}")
    needed = {*_SIGNED[kind], "SignatureVersion", "Signature", "SigningCertURL"} - {"Subject"}
    for name in sorted(needed):
        if not isinstance(envelope.get(name), str):
            raise Malformed(f"{name} must be a text")
    return str(envelope["TopicArn"])


def verify(envelope: Mapping[str, Any]) -> None:
    """Forged: it is not signed by a certificate that lies at Amazon SNS. Unreachable: that is not known."""
    algorithm = _HASHES.get(envelope["SignatureVersion"])
    url = envelope["SigningCertURL"]
    if algorithm is None or not is_amazon(url) or not urlsplit(url).path.endswith(".pem"):
        raise Forged
    try:
        signature = base64.b64decode(envelope["Signature"], validate=True)
        _key_at(url).verify(signature, signed_text(envelope), PKCS1v15(), algorithm())
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise Forged from error


def signed_text(envelope: Mapping[str, Any]) -> bytes:
    """The parts that are signed, by name, each name and each value on a line of its own."""
    names = [name for name in _SIGNED[envelope["Type"]] if envelope.get(name) is not None]
    return "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()


def confirm(envelope: Mapping[str, Any]) -> None:
    """Visit the URL by which a subscription is confirmed. Forged: it leads elsewhere."""
    url = envelope["SubscribeURL"]
    if not is_amazon(url):
        raise Forged
    _fetched(url)


def is_amazon(url: str) -> bool:
    """Whether a URL leads to Amazon SNS, over TLS."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_plain = parts.scheme == "https" and port in (None, 443) and "@" not in parts.netloc
    return is_plain and url.isprintable() and _AMAZON.fullmatch(host) is not None


@lru_cache(maxsize=16)
def _key_at(url: str) -> RSAPublicKey:
    """ValueError, Forged: there is no certificate with such a key."""
    key = load_pem_x509_certificate(_fetched(url)).public_key()
    if not isinstance(key, RSAPublicKey):
        raise Forged
    return key


def _fetched(url: str) -> bytes:
    try:
        with requests.get(url, timeout=_SECONDS, allow_redirects=False, stream=True) as answer:
            text: bytes = answer.raw.read(_MOST_BYTES, decode_content=True)
    except (requests.RequestException, OSError) as error:
        raise Unreachable(str(error)) from error
    if answer.status_code != 200:
        raise Unreachable(f"answered {answer.status_code}")
    return text
