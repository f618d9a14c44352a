"""Any program that can send a request: https://datatracker.ietf.org/doc/html/rfc7617 and the like."""

from __future__ import annotations

import orjson

from webhooks.source import Source

SOURCE = Source(
    name="GENERIC",
    title="Generic",
    read_form=orjson.dumps,
    event_key_expression="'webhook:' + input.type",
    header_name="X-Signature",
    secret_hint="What the sender proves itself with: a password, a key, or a secret it signs with.",
    steps=(
        "Let the sender POST a JSON object, or a form, to the URL.",
        "Give it the user and the password, the key, or the signing secret that you typed here.",
    ),
)
