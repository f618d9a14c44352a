"""GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from webhooks import credentials
from webhooks.credentials import Credentials
from webhooks.source import Source


def _sign(body: bytes, own: Credentials, at: datetime) -> Mapping[str, str]:
    return {"x-github-event": "ping"} | dict(credentials.sign(body, own, at))


SOURCE = Source(
    name="GITHUB",
    title="GitHub",
    sign=_sign,
    sample=b'{"zen": "Keep it logically awesome.", "action": "test"}',
    # Not every event has an action: pushes have none, nor has the ping with which GitHub begins.
    event_key_expression=(
        "'github:' + headers['x-github-event'] + (has(input.action) ? ':' + input.action : '')"
    ),
    more_expressions=("'github:' + headers['x-github-event']",),
    header_name="X-Hub-Signature-256",
    secret_hint="Any secret of your choosing: you type the same one at GitHub.",
    steps=(
        "Open Settings, Webhooks, Add webhook in the repository or the organization.",
        "Paste the URL as Payload URL.",
        "Choose application/json as Content type; forms are refused.",
        "Type the same secret as Secret.",
        "Choose the events, and save. GitHub sends a ping at once: it appears among the deliveries.",
    ),
)
