"""What is done with a delivery: verified, read, evaluated, pushed as an event, and written down.

The event and its record commit together. What is refused is recorded too, but for what comes faster than
a webhook may be called.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from django.db import DatabaseError, transaction

from engine.api.errors import STATUSES
from engine.errors import HatchetError
from engine.types import EventInput
from webhooks import encryption, expressions, limits
from webhooks.arrived import Arrived, Refused
from webhooks.credentials import Algorithm, Credentials, Encoding
from webhooks.models import AuthType, Delivery, Verdict, Webhook
from webhooks.payloads import payload_of
from webhooks.push import push
from webhooks.records import Outcome, is_secret, record
from webhooks.retention import sweep_sometimes
from webhooks.source import Source
from webhooks.sources import all_sources

log = logging.getLogger(__name__)

TRIED_OUT = "test delivery"
"""Where a sample comes from."""


def accept(webhook: Webhook, arrived: Arrived) -> Outcome:
    """Do with a delivery whatever is to be done; nothing the sender can do raises."""
    outcome = Outcome()
    if not limits.shared.take(webhook.id):
        outcome.refuse(Refused(429, Verdict.RATE_LIMITED, "this webhook is called too often"))
        if limits.shared.is_first_refusal(webhook.id):
            record(webhook, arrived, outcome)
        return outcome
    source = all_sources()[webhook.source_name]
    outcome.challenge = source.challenge(arrived)
    if outcome.challenge is not None:
        outcome.verdict = Verdict.CHALLENGE
        record(webhook, arrived, outcome)
    else:
        _finish(webhook, arrived, outcome, source)
    sweep_sometimes(webhook.id)
    return outcome


def deliver_again(webhook: Webhook, delivery: Delivery, now: datetime) -> Outcome:
    """Do once more with a delivery what the webhook as it is now does, but for knowing its sender.

    Headers that are kept from sight were not kept: expressions do not find them.
    """
    headers = {
        name: value for name, value in delivery.headers.items() if not is_secret(name, webhook)
    }
    arrived = Arrived(headers, bytes(delivery.body), now, delivery.remote_address)
    outcome = Outcome(is_verified=True, redelivery_of=delivery.id)
    _finish(webhook, arrived, outcome, all_sources()[webhook.source_name])
    return outcome


def try_out(webhook: Webhook, now: datetime) -> Outcome:
    """Do with a sample, signed as its sender would, what is done with a delivery."""
    source, own = all_sources()[webhook.source_name], credentials_of(webhook)
    headers = {"content-type": "application/json", **source.sign(source.sample, own, now)}
    return accept(webhook, Arrived(headers, source.sample, now, TRIED_OUT))


def refuse_too_large(webhook: Webhook, arrived: Arrived, *, body_bytes: int, most: int) -> Outcome:
    """Record a delivery whose body was not taken in, or not all of it."""
    outcome = Outcome()
    outcome.refuse(Refused(413, Verdict.TOO_LARGE, f"the body is too large: at most {most} bytes"))
    if limits.shared.take(webhook.id) or limits.shared.is_first_refusal(webhook.id):
        record(webhook, arrived, outcome, body_bytes=body_bytes)
    return outcome


def credentials_of(webhook: Webhook) -> Credentials:
    return Credentials(
        auth_type=AuthType(webhook.auth_type),
        secret=encryption.decrypt(bytes(webhook.secret)),
        header_name=webhook.header_name,
        algorithm=Algorithm(webhook.algorithm or Algorithm.SHA256),
        encoding=Encoding(webhook.encoding or Encoding.HEX),
    )


def _finish(webhook: Webhook, arrived: Arrived, outcome: Outcome, source: Source) -> None:
    try:
        try:
            event = _read(webhook, arrived, outcome, source)
            with transaction.atomic():
                outcome.event = push(webhook.tenant_id, event, arrived.at)
                outcome.status = 200 if webhook.returns_event else 204
                record(webhook, arrived, outcome)
        except HatchetError as error:
            outcome.event = None
            raise Refused(STATUSES.get(error.code, 500), Verdict.REFUSED, str(error)) from error
    except Refused as refused:
        outcome.refuse(refused)
        record(webhook, arrived, outcome)
    except DatabaseError:
        raise
    except Exception:
        log.exception("a delivery to the webhook %s failed", webhook.id)
        outcome.event = None
        outcome.refuse(Refused(500, Verdict.FAILED, "something went wrong on the server"))
        record(webhook, arrived, outcome)


def _read(webhook: Webhook, arrived: Arrived, outcome: Outcome, source: Source) -> EventInput:
    """Return the event that a delivery asks for, noting in `outcome` how far that came."""
    headers = arrived.headers
    if not outcome.is_verified:
        expected = credentials_of(webhook)
        source.verify(arrived, expected)
        outcome.is_verified = True
        headers = _without(headers, expected.secret_header)
    static = webhook.static_payload
    payload = payload_of(arrived, source, None if static is None else bytes(static))
    data = expressions.Data(payload.text, payload.value, headers)
    key = expressions.text_of(
        webhook.tenant_id, webhook.event_key_expression, data, "the event key expression"
    )
    if not key.strip():
        raise Refused(
            400, Verdict.EXPRESSION_FAILED, "the event key expression came to an empty text"
        )
    outcome.event_key = key
    if webhook.scope_expression:
        scope = expressions.text_of(
            webhook.tenant_id, webhook.scope_expression, data, "the scope expression"
        )
        outcome.scope = scope or None
    return EventInput(key=key, payload=payload.text, scope=outcome.scope)


def _without(headers: Mapping[str, str], name: str) -> Mapping[str, str]:
    """Leave out the header that holds the secret itself: keys and scopes are shown to people."""
    return {key: value for key, value in headers.items() if key != name} if name else headers
