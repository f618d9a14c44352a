"""Linear: https://linear.app/developers/webhooks#securing-webhooks."""

from __future__ import annotations

from webhooks.source import Source

SOURCE = Source(
    name="LINEAR",
    title="Linear",
    sample=b'{"type": "Test", "action": "create", "data": {}}',
    event_key_expression="'linear:' + input.type + ':' + input.action",
    header_name="linear-signature",
    secret_hint="The signing secret that Linear shows on the webhook's page.",
    steps=(
        "Open Settings, API, Webhooks, New webhook in Linear, and paste the URL.",
        "Copy the signing secret that Linear shows, and type it here.",
        "Choose what Linear is to send, and create the webhook.",
    ),
)
