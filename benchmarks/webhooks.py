"""How fast webhooks are accepted, beside an empty view of the same server, in turns."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import orjson

from benchmarks.figures import ratio
from benchmarks.http_load import Measured, measure_in_turns, request
from benchmarks.installation import Installation

WEBHOOKS = 100
"""Each may be called 50 times a second; together they are never at that bound."""
SECRET = b"benchmark of webhooks"
BODY = orjson.dumps(
    {"action": "opened", "number": 7, "pull_request": {"title": "Mend it", "body": "x" * 1_000}}
)


def measure_webhooks(installed: Installation, seconds: float) -> dict[str, Any]:
    """Send signed deliveries of 1 KB to many webhooks, and as many requests to the empty view."""
    web = installed.start_web()
    empty = installed.start_empty_web()
    paths = _make_webhooks(WEBHOOKS)
    signature = hmac.digest(SECRET, BODY, hashlib.sha256).hex()
    signed = {"X-GitHub-Event": "pull_request", "X-Hub-Signature-256": f"sha256={signature}"}
    deliveries = [request("POST", path, signed, BODY) for path in paths]
    webhooks = Measured(web, installed.http_port, deliveries)
    nothing = [request("POST", "/empty", signed, BODY)]
    floor = Measured(empty, installed.empty_http_port, nothing)
    measure_in_turns([webhooks, floor], seconds)
    figures = {"accepted": webhooks.figures(), "empty_view": floor.figures()}
    rates = [figures[name]["per_second"] for name in ("accepted", "empty_view")]
    return {**figures, "rate_to_empty_view": ratio(*rates)}


def _make_webhooks(count: int) -> list[str]:
    """Make webhooks of the first tenant; return their paths."""
    from datetime import UTC, datetime
    from urllib.parse import urlsplit

    from django.db import connections

    from tenants.models import Tenant
    from webhooks.changes import NewWebhook, create_webhook, url_of
    from webhooks.credentials import Credentials
    from webhooks.models import AuthType

    tenant = Tenant.objects.earliest("created_at")
    expected = Credentials(
        auth_type=AuthType.HMAC, secret=SECRET.decode(), header_name="X-Hub-Signature-256"
    )
    expression = "'github:' + headers['x-github-event'] + ':' + input.action"
    paths = []
    for number in range(count):
        new = NewWebhook(
            name=f"bench-{number}",
            source_name="GITHUB",
            event_key_expression=expression,
            credentials=expected,
        )
        paths.append(urlsplit(url_of(create_webhook(tenant.id, new, datetime.now(UTC)))).path)
    connections.close_all()
    return paths
