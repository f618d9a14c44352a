"""Slack: https://docs.slack.dev/authentication/verifying-requests-from-slack."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import orjson

from tenants.json_text import JsonRefused, read_json
from webhooks.arrived import Arrived, forged, incomplete
from webhooks.credentials import Credentials, is_same, read_seconds, refuse_stale
from webhooks.models import AuthType
from webhooks.source import Source

_TOLERANCE_SECONDS = 300
_TIMESTAMP = "x-slack-request-timestamp"


def _verify(arrived: Arrived, expected: Credentials) -> None:
    """Slack signs `v0:` + time + `:` + body, and sends `v0=` with the signature."""
    at = read_seconds(arrived.headers.get(_TIMESTAMP, ""))
    given = arrived.headers.get(expected.header_name.lower(), "")
    if at is None or not given:
        raise incomplete("the time or the signature of Slack is missing", status=403)
    refuse_stale(at, arrived.at, tolerance=_TOLERANCE_SECONDS, status=403)
    wanted = "v0=" + expected.signature_of(f"v0:{at}:".encode() + arrived.body)
    if not is_same(given.strip(), wanted):
        raise forged("the signature does not match the body")


def _challenge(arrived: Arrived) -> str | None:
    """Slack asks once, when the URL is entered, before it is sure of it: the text is sent back."""
    if b"challenge" not in arrived.body or arrived.is_form:
        return None
    try:
        asked = read_json(arrived.body)
    except JsonRefused:
        return None
    challenge = asked.get("challenge") if isinstance(asked, dict) else None
    return challenge if isinstance(challenge, str) and challenge else None


def _read_form(fields: Mapping[str, str]) -> str | bytes:
    """Buttons and modals send one field with JSON in it, slash commands a field for each value."""
    return fields.get("payload") or orjson.dumps(fields)


def _sign(body: bytes, own: Credentials, at: datetime) -> Mapping[str, str]:
    seconds = int(at.timestamp())
    signature = own.signature_of(f"v0:{seconds}:".encode() + body)
    return {_TIMESTAMP: str(seconds), own.header_name.lower(): f"v0={signature}"}


SOURCE = Source(
    name="SLACK",
    title="Slack",
    verify=_verify,
    sign=_sign,
    sample=b'{"type": "event_callback", "command": "/test", "event": {"type": "test", "text": "test"}}',
    auth_types=(AuthType.HMAC,),
    challenge=_challenge,
    read_form=_read_form,
    event_key_expression="'slack:event:' + input.event.type",
    header_name="X-Slack-Signature",
    more_expressions=("'slack:command:' + input.command", "'slack:interaction:' + input.type"),
    secret_hint="The Signing Secret under Basic Information of the Slack app.",
    steps=(
        "Create the app at api.slack.com/apps, and copy its Signing Secret from Basic Information.",
        "For events paste the URL under Event Subscriptions; Slack checks it at once.",
        "For slash commands paste it as the command's Request URL.",
        "For buttons and modals paste it under Interactivity & Shortcuts.",
        "Each of the three wants a webhook of its own, as their event keys differ.",
    ),
)
