"""Writes down what came to a webhook and what became of it, with nothing in it that is secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import orjson
from django.db import connection

from engine.ids import new_id
from engine.store.hints import LIVE_CHANNEL, live_message
from engine.types import EventRecord
from tenants.json_text import without_nul
from webhooks.arrived import Arrived, Refused
from webhooks.models import Verdict, Webhook

TOPIC = "webhooks"
"""What open pages of webhooks listen to."""
LONGEST_BODY = 256 * 1024
"""Longer ones are not kept, only their beginning, and so cannot be delivered again."""
BEGINNING = 4 * 1024
_MOST_HEADERS = 100
_LONGEST_VALUE = 2_000
_LONGEST_ERROR = 1_000
_SECRET_NAME = re.compile(
    r"auth|token|secret|api-?key|signature|cookie|passw|credential|session", re.ASCII
)

_RECORD = """
WITH origin AS (
    INSERT INTO webhooks_eventorigin (event_id, webhook_name)
    SELECT %(event_id)s::uuid, %(webhook_name)s::text WHERE %(event_id)s::uuid IS NOT NULL
)
INSERT INTO webhooks_delivery (
    id, tenant_id, webhook_id, received_at, remote_address, headers, body, body_bytes, is_body_whole,
    is_verified, verdict, status, error, event_key, scope, event_id, redelivery_of)
SELECT %(id)s::uuid, %(tenant_id)s::uuid, %(webhook_id)s::uuid, %(received_at)s::timestamptz,
       %(remote_address)s::text, %(headers)s::jsonb, %(body)s::bytea, %(body_bytes)s::bigint,
       %(is_body_whole)s::boolean, %(is_verified)s::boolean, %(verdict)s::text, %(status)s::smallint,
       %(error)s::text, %(event_key)s::text, %(scope)s::text, %(event_id)s::uuid,
       %(redelivery_of)s::uuid
 WHERE EXISTS (SELECT FROM webhooks_webhook WHERE id = %(webhook_id)s::uuid)
RETURNING pg_notify(%(channel)s::text, %(message)s::text)
"""
# A webhook deleted meanwhile has no deliveries any more; its event is pushed all the same.


@dataclass(slots=True)
class Outcome:
    """What became of a delivery so far; `status` is that of the answer."""

    delivery_id: UUID = field(default_factory=new_id)
    verdict: Verdict = Verdict.ACCEPTED
    status: int = 200
    error: str = ""
    is_verified: bool = False
    challenge: str | None = None
    event_key: str | None = None
    scope: str | None = None
    event: EventRecord | None = None
    redelivery_of: UUID | None = None

    def refuse(self, refused: Refused) -> None:
        self.verdict, self.status, self.error = refused.verdict, refused.status, refused.sentence


def is_secret(header: str, of_webhook: Webhook) -> bool:
    """Whether a header, its name in lower case, is not to be shown to anybody."""
    return header == of_webhook.header_name.lower() or _SECRET_NAME.search(header) is not None


def shown_headers(headers: Mapping[str, str], webhook: Webhook) -> dict[str, str]:
    """Return the headers with the length of secret values in their place, and none too long."""
    return {
        name[:_LONGEST_VALUE]: (
            f"[hidden, {len(value)} characters]"
            if is_secret(name, webhook)
            else without_nul(value[:_LONGEST_VALUE])
        )
        for name, value in list(headers.items())[:_MOST_HEADERS]
    }


def record(
    webhook: Webhook, arrived: Arrived, outcome: Outcome, *, body_bytes: int | None = None
) -> None:
    """Insert the delivery and tell open pages. `body_bytes`, where not all of the body was taken in."""
    length = len(arrived.body) if body_bytes is None else body_bytes
    longest = LONGEST_BODY if outcome.is_verified else BEGINNING
    is_whole = length == len(arrived.body) <= longest
    message = live_message(webhook.tenant_id, [], [TOPIC])
    with connection.cursor() as cursor:
        cursor.execute(
            _RECORD,
            {
                "id": outcome.delivery_id,
                "tenant_id": webhook.tenant_id,
                "webhook_id": webhook.id,
                "webhook_name": webhook.name,
                "received_at": arrived.at,
                "remote_address": arrived.remote_address,
                "headers": orjson.dumps(shown_headers(arrived.headers, webhook)).decode(),
                "body": arrived.body if is_whole else arrived.body[:BEGINNING],
                "body_bytes": length,
                "is_body_whole": is_whole,
                "is_verified": outcome.is_verified,
                "verdict": outcome.verdict.value,
                "status": outcome.status,
                "error": without_nul(outcome.error[:_LONGEST_ERROR]),
                "event_key": outcome.event_key,
                "scope": outcome.scope,
                "event_id": None if outcome.event is None else outcome.event.event_id,
                "redelivery_of": outcome.redelivery_of,
                "channel": LIVE_CHANNEL,
                "message": message,
            },
        )
