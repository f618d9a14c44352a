"""Notifications of Amazon SNS: signed here as its documentation says, with a certificate of the test's own."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from engine.models import Event, Payload
from tenants.buckets import Buckets
from tests.api.client import Answer, ApiClient
from tests.cast import Cast
from tests.webhooks.alerting import ARN
from webhooks.sns import envelopes, receive
from webhooks.sns.topics import create_topic

NOTIFICATION = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": ARN,
    "Subject": "My First Message",
    "Message": "Hello ß world!",
    "Timestamp": "2026-11-30T12:00:00.000Z",
}
CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
    "Token": "2336412f37",
    "TopicArn": ARN,
    "Message": "You have chosen to subscribe",
    "Timestamp": "2026-11-30T12:00:00.000Z",
}
ORDER = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}
ORDER["UnsubscribeConfirmation"] = ORDER["SubscriptionConfirmation"]


class Amazon:
    """Serves its certificate and confirms subscriptions; signs what it sends."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=1))
            .sign(self.key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        self.visited: list[str] = []
        self.status = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._requests())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def signed(self, envelope: dict[str, Any], version: str = "2") -> dict[str, Any]:
        whole = dict(envelope)
        if whole["Type"] != "Notification":
            whole["SubscribeURL"] = f"{self.url}/?Action=ConfirmSubscription"
        text = "".join(f"{name}\n{whole[name]}\n" for name in ORDER[whole["Type"]] if name in whole)
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303  as SNS does
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return whole | {
            "SignatureVersion": version,
            "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": f"{self.url}/SimpleNotificationService.pem",
        }

    def _requests(self) -> type[BaseHTTPRequestHandler]:
        amazon = self

        class Requests(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                amazon.visited.append(self.path)
                is_certificate = self.path.endswith(".pem")
                body = amazon.certificate if is_certificate else b"<ok/>"
                self.send_response(amazon.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Requests


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    made = Amazon()
    monkeypatch.setattr(envelopes, "is_amazon", lambda url: url.startswith(made.url))
    monkeypatch.setattr(receive, "calls", Buckets(50.0, 100.0))
    envelopes._key_at.cache_clear()
    yield made
    made.close()
    envelopes._key_at.cache_clear()


@pytest.fixture
def at(cast: Cast) -> str:
    create_topic(cast.tenant.id, ARN, datetime.now(UTC))
    return f"/api/v1/sns/{cast.tenant.id}/order:created"


def posted(at: str, envelope: Any) -> Answer:
    """As SNS sends it: JSON that is called a text."""
    body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
    return ApiClient().send("POST", at, body, "text/plain; charset=UTF-8")


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("without", [(), ("Subject",)])
def test_a_notification_becomes_an_event(
    cast: Cast, at: str, amazon: Amazon, version: str, without: tuple[str, ...]
) -> None:
    given = {name: value for name, value in NOTIFICATION.items() if name not in without}
    envelope = amazon.signed(given, version)
    answer = posted(at, envelope)
    assert (answer.status, answer.content) == (200, b"")
    [event] = Event.objects.filter(tenant_id=cast.tenant.id)
    assert event.key == "order:created"
    payload = Payload.objects.get(owner_id=event.id)
    assert json.loads(bytes(payload.data)) == envelope


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_subscription_is_confirmed(at: str, amazon: Amazon, kind: str) -> None:
    assert posted(at, amazon.signed(CONFIRMATION | {"Type": kind})).status == 200
    assert amazon.visited[-1] == "/?Action=ConfirmSubscription"
    assert not Event.objects.exists()


def test_a_subscription_that_cannot_be_confirmed_now_is_sent_again(at: str, amazon: Amazon) -> None:
    assert posted(at, amazon.signed(NOTIFICATION)).status == 200  # the certificate is known by now
    amazon.status = 500
    assert posted(at, amazon.signed(CONFIRMATION)).status == 503


@pytest.mark.parametrize(
    "wrong",
    [
        {"Message": "Hello"},
        {"Subject": "Other"},
        {"SignatureVersion": "3"},
        {"Signature": "no base64!"},
        {"Signature": base64.b64encode(b"x" * 256).decode()},
        {"SigningCertURL": "https://evil.example/cert.pem"},
    ],
)
def test_what_is_forged_is_refused(at: str, amazon: Amazon, wrong: dict[str, str]) -> None:
    assert posted(at, amazon.signed(NOTIFICATION) | wrong).status == 403
    assert not Event.objects.exists()


def test_a_confirmation_that_leads_elsewhere_is_refused(at: str, amazon: Amazon) -> None:
    envelope = amazon.signed(CONFIRMATION)
    envelope["SubscribeURL"] = "http://127.0.0.1:1/"
    assert posted(at, envelope).status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b"\xff",
        b'{"Type": "Notification"}',
        b'{"Type": ["Notification"]}',
        json.dumps(NOTIFICATION | {"Message": None}).encode(),
        json.dumps(NOTIFICATION | {"Type": "Other"}).encode(),
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b'{"Message": "\\u0000"}',
    ],
)
def test_what_is_no_envelope_is_refused(at: str, amazon: Amazon, body: bytes) -> None:
    assert posted(at, body).status == 400
    assert amazon.visited == []


def test_what_is_too_long_is_refused(at: str, amazon: Amazon) -> None:
    body = json.dumps(NOTIFICATION | {"Message": "x" * 1024 * 1024}).encode()
    assert posted(at, body).status == 413


def test_topics_that_are_not_registered_are_refused_before_anything_is_fetched(
    cast: Cast, at: str, amazon: Amazon
) -> None:
    assert posted(at, amazon.signed(NOTIFICATION | {"TopicArn": f"{ARN}x"})).status == 403
    elsewhere = f"/api/v1/sns/{cast.other_tenant.id}/key"
    assert posted(elsewhere, amazon.signed(NOTIFICATION)).status == 404
    assert posted("/api/v1/sns/nobody/key", amazon.signed(NOTIFICATION)).status == 400
    assert amazon.visited == []


def test_who_comes_too_often_waits(
    at: str, amazon: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "calls", Buckets(0.001, 1.0))
    envelope = amazon.signed(NOTIFICATION)
    assert [posted(at, envelope).status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("url", "is_theirs"),
    [
        ("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/a.pem", True),
        ("http://sns.eu-west-1.amazonaws.com/a.pem", False),
        ("https://sns.eu-west-1.amazonaws.com.evil.example/a.pem", False),
        ("https://evil.example/sns.eu-west-1.amazonaws.com/a.pem", False),
        ("https://sns.eu-west-1.amazonaws.com@evil.example/a.pem", False),
        ("https://user@sns.eu-west-1.amazonaws.com/a.pem", False),
        ("https://sns.eu-west-1.amazonaws.com:8443/a.pem", False),
        ("https://bucket.s3.amazonaws.com/a.pem", False),
        ("https://sns.eu-west-1.amazonaws.com/a\n.pem", False),
        ("https://[/a.pem", False),
    ],
)
def test_which_addresses_are_amazons(url: str, is_theirs: bool) -> None:
    assert envelopes.is_amazon(url) is is_theirs
