"""Stripe: https://docs.stripe.com/webhooks#verify-manually."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from webhooks.arrived import Arrived, forged, incomplete
from webhooks.credentials import Credentials, is_same, read_seconds, refuse_stale
from webhooks.models import AuthType
from webhooks.source import Source

_TOLERANCE_SECONDS = 600


def _verify(arrived: Arrived, expected: Credentials) -> None:
    """The header looks like `t=1492774577,v1=5257a8…,v1=…,v0=…`; any `v1` may match."""
    given = arrived.headers.get(expected.header_name.lower(), "")
    if not given:
        raise incomplete(f"the header {expected.header_name} is missing")
    parts = [part.strip().split("=") for part in given.split(",")]
    if any(len(part) != 2 for part in parts):
        raise incomplete(f"the header {expected.header_name} cannot be read")
    at = next((read_seconds(value) for name, value in parts if name == "t"), None)
    signatures = [value for name, value in parts if name == "v1"]
    if at is None or not signatures:
        raise incomplete(f"the header {expected.header_name} has no time t or no signature v1")
    refuse_stale(at, arrived.at, tolerance=_TOLERANCE_SECONDS, status=400)
    wanted = expected.signature_of(f"{at}.".encode() + arrived.body)
    # Each is compared, so that the time tells nothing.
    if not any([is_same(signature, wanted) for signature in signatures]):  # noqa: C419  (see above)
        raise forged("the signature does not match the body")


def _sign(body: bytes, own: Credentials, at: datetime) -> Mapping[str, str]:
    seconds = int(at.timestamp())
    signature = own.signature_of(f"{seconds}.".encode() + body)
    return {own.header_name.lower(): f"t={seconds},v1={signature}"}


SOURCE = Source(
    name="STRIPE",
    title="Stripe",
    verify=_verify,
    sign=_sign,
    sample=b'{"id": "evt_test", "object": "event", "type": "test", "data": {"object": {}}}',
    auth_types=(AuthType.HMAC,),
    event_key_expression="'stripe:' + input.type",
    header_name="Stripe-Signature",
    secret_hint="The signing secret of the endpoint at Stripe; it begins with whsec_.",
    steps=(
        "Open Developers, Webhooks, Add destination in the Stripe Dashboard.",
        "Paste the URL as Endpoint URL, and choose the events.",
        "Copy the signing secret (whsec_…) that Stripe shows, and type it here.",
    ),
)
