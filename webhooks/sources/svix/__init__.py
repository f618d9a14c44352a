"""Svix, and whoever signs as Standard Webhooks do: https://docs.svix.com/receiving/verifying-payloads/how-manual."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime

from webhooks.arrived import Arrived, forged, incomplete
from webhooks.credentials import (
    Algorithm,
    Credentials,
    Encoding,
    is_same,
    read_seconds,
    refuse_stale,
)
from webhooks.models import AuthType
from webhooks.source import Source

_TOLERANCE_SECONDS = 300
_PREFIXES = ("svix", "webhook")


def _verify(arrived: Arrived, expected: Credentials) -> None:
    """Signed is id, time and body; the header holds one or several of `v1,` and a signature."""
    prefix = next((one for one in _PREFIXES if f"{one}-signature" in arrived.headers), _PREFIXES[0])
    identity, at, signatures = (
        arrived.headers.get(f"{prefix}-{part}", "") for part in ("id", "timestamp", "signature")
    )
    seconds = read_seconds(at)
    if not identity or seconds is None or not signatures:
        raise incomplete("one of the headers svix-id, svix-timestamp and svix-signature is missing")
    refuse_stale(seconds, arrived.at, tolerance=_TOLERANCE_SECONDS, status=400)
    wanted = _signature_of(identity, at, arrived.body, expected.secret)
    # Each is compared, so that the time tells nothing.
    if not any([is_same(given, wanted) for given in signatures.split()]):  # noqa: C419  (see above)
        raise forged("no signature matches the body")


def _sign(body: bytes, own: Credentials, at: datetime) -> Mapping[str, str]:
    seconds = str(int(at.timestamp()))
    signature = _signature_of("msg_test", seconds, body, own.secret)
    return {"svix-id": "msg_test", "svix-timestamp": seconds, "svix-signature": signature}


def _signature_of(identity: str, at: str, body: bytes, secret: str) -> str:
    fixed = Credentials(
        auth_type=AuthType.HMAC,
        secret=secret,
        algorithm=Algorithm.SHA256,
        encoding=Encoding.BASE64,
    )
    signed = f"{identity}.{at}.".encode(errors="replace") + body
    return "v1," + fixed.signature_of(signed, _key(secret))


def _key(secret: str) -> bytes:
    """Return the key that a secret stands for. ValueError: it is none of Svix."""
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("must be base64, with or without whsec_ in front of it") from None


def _check_secret(secret: str) -> None:
    if not _key(secret):
        raise ValueError("holds no key")


SOURCE = Source(
    name="SVIX",
    title="Svix",
    verify=_verify,
    sign=_sign,
    auth_types=(AuthType.HMAC,),
    check_secret=_check_secret,
    event_key_expression="'svix:' + input.type",
    header_name="svix-signature",
    encoding=Encoding.BASE64,
    secret_hint="The signing secret of the endpoint; it begins with whsec_.",
    steps=(
        "Add an endpoint in the sender's portal, and paste the URL.",
        "Copy the endpoint's signing secret (whsec_…), and type it here.",
        "Senders that follow Standard Webhooks sign in the same way.",
    ),
)
