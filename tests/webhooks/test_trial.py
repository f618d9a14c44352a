"""A test delivery is signed as its source signs, and goes the way of a real one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.client import ApiClient
from tests.cast import Cast
from tests.webhooks.senders import PRESETS, SECRET, hmac_auth, make
from webhooks.accept import TRIED_OUT, accept, credentials_of, try_out
from webhooks.arrived import Arrived
from webhooks.models import Delivery, Verdict, Webhook
from webhooks.sources import all_sources

AUTHS: list[dict[str, Any]] = [
    {"authType": "BASIC", "auth": {"username": "u", "password": "p"}},
    {"authType": "API_KEY", "auth": {"headerName": "X-Key", "apiKey": SECRET}},
    {"authType": "HMAC", "auth": hmac_auth(algorithm="SHA512", encoding="BASE64")},
]


@pytest.mark.parametrize("source", sorted(PRESETS))
def test_a_sample_of_each_source_is_accepted(cast: Cast, api: ApiClient, source: str) -> None:
    expression = all_sources()[source].event_key_expression
    make(api, cast.tenant, source, eventKeyExpression=expression)
    outcome = try_out(Webhook.objects.get(), datetime.now(UTC))
    delivery = Delivery.objects.get()
    assert (outcome.verdict, delivery.error) == (Verdict.ACCEPTED, "")
    assert (delivery.id, delivery.is_verified) == (outcome.delivery_id, True)
    assert delivery.remote_address == TRIED_OUT
    assert outcome.event is not None
    assert outcome.event.key.startswith(f"{source.lower()}:")
    assert SECRET not in str(delivery.headers)


@pytest.mark.parametrize("auth", AUTHS, ids=lambda auth: auth["authType"])
def test_a_generic_one_proves_itself_in_any_way(
    cast: Cast, api: ApiClient, auth: dict[str, Any]
) -> None:
    make(api, cast.tenant, **auth)
    assert try_out(Webhook.objects.get(), datetime.now(UTC)).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("source", sorted(PRESETS))
def test_the_signature_is_of_the_sample(cast: Cast, api: ApiClient, source: str) -> None:
    """One byte more is forged: verifying a sample is no formality."""
    make(api, cast.tenant, source)
    webhook, found = Webhook.objects.get(), all_sources()[source]
    now = datetime.now(UTC)
    headers = dict(found.sign(found.sample, credentials_of(webhook), now))
    sample = found.sample + b" "
    arrived = Arrived(headers | {"content-type": "application/json"}, sample, now)
    assert accept(webhook, arrived).verdict is Verdict.FORGED


def test_what_the_expression_makes_of_it_is_shown(cast: Cast, api: ApiClient) -> None:
    make(api, cast.tenant, eventKeyExpression="input.missing")
    outcome = try_out(Webhook.objects.get(), datetime.now(UTC))
    assert outcome.verdict is Verdict.EXPRESSION_FAILED
    assert Delivery.objects.get().error == outcome.error
