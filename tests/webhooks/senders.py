"""Senders as their public documentation describes them, with signatures computed from RFC 2104 alone.

GitHub  https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
Stripe  https://docs.stripe.com/webhooks#verify-manually
Slack   https://docs.slack.dev/authentication/verifying-requests-from-slack
Linear  https://linear.app/developers/webhooks
Svix    https://docs.svix.com/receiving/verifying-payloads/how-manual
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tenants.models import Tenant
from tests.api.client import Answer, ApiClient

SECRET = "a very secret word"
SVIX_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def hmac_of(algorithm: str, secret: bytes, text: bytes) -> bytes:
    """RFC 2104 in so many words."""
    size = hashlib.new(algorithm).block_size
    if len(secret) > size:
        secret = hashlib.new(algorithm, secret).digest()
    secret = secret.ljust(size, b"\0")
    inner = hashlib.new(algorithm, bytes(byte ^ 0x36 for byte in secret) + text).digest()
    return hashlib.new(algorithm, bytes(byte ^ 0x5C for byte in secret) + inner).digest()


def now() -> int:
    return int(time.time())


def github(body: bytes, secret: str = SECRET, event: str = "issues") -> dict[str, str]:
    digest = hmac_of("sha256", secret.encode(), body).hex()
    return {"X-GitHub-Event": event, "X-Hub-Signature-256": f"sha256={digest}"}


def linear(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"Linear-Signature": hmac_of("sha256", secret.encode(), body).hex()}


def stripe(body: bytes, secret: str = SECRET, at: int | None = None) -> dict[str, str]:
    at = now() if at is None else at
    digest = hmac_of("sha256", secret.encode(), f"{at}.".encode() + body).hex()
    return {"Stripe-Signature": f"t={at},v1={'0' * 64},v1={digest},v0={'f' * 64}"}


def slack(body: bytes, secret: str = SECRET, at: int | None = None) -> dict[str, str]:
    at = now() if at is None else at
    digest = hmac_of("sha256", secret.encode(), f"v0:{at}:".encode() + body).hex()
    return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={digest}"}


def svix(
    body: bytes, secret: str = SVIX_SECRET, at: int | None = None, prefix: str = "svix"
) -> dict[str, str]:
    at = now() if at is None else at
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = base64.b64encode(hmac_of("sha256", key, f"msg_1.{at}.".encode() + body)).decode()
    return {
        f"{prefix}-id": "msg_1",
        f"{prefix}-timestamp": str(at),
        f"{prefix}-signature": f"v1,AAAA v1a,BBBB v1,{digest}",
    }


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def hmac_auth(header: str = "X-Signature", **overrides: str) -> dict[str, str]:
    return {
        "algorithm": "SHA256",
        "encoding": "HEX",
        "signatureHeaderName": header,
        "signingSecret": SECRET,
    } | overrides


PRESETS: dict[str, dict[str, Any]] = {
    "GITHUB": {
        "eventKeyExpression": "'github:' + headers['x-github-event'] + ':' + input.action",
        "auth": hmac_auth("X-Hub-Signature-256"),
    },
    "LINEAR": {
        "eventKeyExpression": "'linear:' + input.type + ':' + input.action",
        "auth": hmac_auth("linear-signature"),
    },
    "STRIPE": {
        "eventKeyExpression": "'stripe:' + input.type",
        "auth": hmac_auth("Stripe-Signature"),
    },
    "SLACK": {
        "eventKeyExpression": "'slack:event:' + input.event.type",
        "auth": hmac_auth("X-Slack-Signature"),
    },
    "SVIX": {
        "eventKeyExpression": "'svix:' + input.type",
        "auth": hmac_auth("svix-signature", encoding="BASE64", signingSecret=SVIX_SECRET),
    },
}
SIGNERS = {"GITHUB": github, "LINEAR": linear, "STRIPE": stripe, "SLACK": slack, "SVIX": svix}
BODIES: dict[str, dict[str, Any]] = {
    "GITHUB": {"action": "opened", "issue": {"number": 7}},
    "LINEAR": {"action": "create", "type": "Issue"},
    "STRIPE": {"type": "payment_intent.created", "id": "evt_1"},
    "SLACK": {"type": "event_callback", "event": {"type": "app_mention", "text": "hi"}},
    "SVIX": {"type": "user.created"},
}
KEYS = {
    "GITHUB": "github:issues:opened",
    "LINEAR": "linear:Issue:create",
    "STRIPE": "stripe:payment_intent.created",
    "SLACK": "slack:event:app_mention",
    "SVIX": "svix:user.created",
}


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody outside, without an API token, who knows the address of a webhook."""

    tenant: Tenant
    name: str = "hook"

    @property
    def path(self) -> str:
        return f"/api/v1/stable/tenants/{self.tenant.id}/webhooks/{quote(self.name)}"

    def send(
        self, body: bytes, headers: Mapping[str, str], content_type: str = "application/json"
    ) -> Answer:
        return ApiClient().send("POST", self.path, body, content_type, **headers)

    def send_json(self, value: object, headers: Mapping[str, str]) -> Answer:
        return self.send(json.dumps(value).encode(), headers)


def make(api: ApiClient, tenant: Tenant, source: str = "GENERIC", **overrides: Any) -> Sender:
    """Make a webhook over the API: with its source's preset, or with a key in X-Key."""
    body: dict[str, Any] = {
        "name": "hook",
        "sourceName": source,
        "eventKeyExpression": "'hook:' + input.type",
        "authType": "API_KEY",
        "auth": {"headerName": "X-Key", "apiKey": SECRET},
    }
    if source in PRESETS:
        body |= {"authType": "HMAC"} | PRESETS[source]
    body |= overrides
    answer = api.post(f"/api/v1/stable/tenants/{tenant.id}/webhooks", body)
    assert answer.status == 200, answer.content
    return Sender(tenant, body["name"])


KEY = {"X-Key": SECRET}
