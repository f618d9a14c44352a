"""Each kind of channel against a real server of the test's own, judged by what its maker documents."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs

import pytest
from pytest_django import Settings

from engine.config import Config
from tests.mail_servers import silent_server, smtp_server
from tests.unit.test_alert_texts import telling
from tests.webhooks.alerting import ARN, KEY_ID, ROUTING_KEY, SECRET_KEY
from tests.webhooks.receiver import Answer, Received, Receiver, receiving
from webhooks.alert_models import AlertEvent, ChannelKind
from webhooks.alerts.channels import send
from webhooks.outgoing import post
from webhooks.outgoing.answered import Answered
from webhooks.outgoing.post import Poster

TOLD = {"topicArn": ARN, "accessKeyId": KEY_ID}


@pytest.fixture
def local(installation: Config, settings: Settings) -> None:
    """Requests may go to loopback."""
    networks = (ip_network("127.0.0.0/8"),)
    settings.HATCHET = replace(installation, webhooks_allowed_networks=networks)


def lead_to(settings: Settings, receiver: Receiver) -> None:
    """Have PagerDuty and SNS be the receiver."""
    here: Config = settings.HATCHET
    url = receiver.url("")
    alerting = replace(here.alerting, pagerduty_url=url, sns_url=url)
    settings.HATCHET = replace(here, alerting=alerting)


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    made = Poster()
    yield made
    await made.close()


async def sent(poster: Poster, kind: ChannelKind, secret: str = "", **given: Any) -> Answered:
    return await send(poster, kind, TOLD, secret, given.pop("address", ""), telling(**given))


async def test_slack_gets_blocks(local: None, poster: Poster) -> None:
    with receiving() as receiver:
        answered = await sent(poster, ChannelKind.SLACK, receiver.url("/services/T/B/x"))
        [received] = receiver.so_far()
    assert answered.is_taken
    assert received.path == "/services/T/B/x"
    assert received.headers["content-type"] == "application/json"
    assert {block["type"] for block in received.json["blocks"]} == {"section", "context"}


async def test_pagerduty_gets_an_event(local: None, settings: Settings, poster: Poster) -> None:
    with receiving(lambda _: Answer(202)) as receiver:
        lead_to(settings, receiver)
        assert (await sent(poster, ChannelKind.PAGERDUTY, ROUTING_KEY)).is_taken
        [received] = receiver.so_far()
    assert received.path == "/v2/enqueue"
    assert received.json["routing_key"] == ROUTING_KEY
    assert received.json["payload"]["summary"] == "[Acme] 12 runs failed"


def signature_of(received: Received, secret: str) -> str:
    """Computed from the description of AWS Signature Version 4, with nothing of ours or of botocore's."""
    parts = dict(
        part.strip().split("=", 1)
        for part in received.headers["authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(",")
    )
    key_id, date, region, service, end = parts["Credential"].split("/")
    assert (key_id, region, service, end) == (KEY_ID, "eu-west-1", "sns", "aws4_request")
    names = parts["SignedHeaders"].split(";")
    assert {"content-type", "host", "x-amz-date"} <= set(names)
    headers = "".join(f"{name}:{received.headers[name]}\n" for name in names)
    payload = hashlib.sha256(received.body).hexdigest()
    request = f"POST\n{received.path}\n\n{headers}\n{';'.join(names)}\n{payload}"
    scope = f"{date}/{region}/{service}/{end}"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{received.headers['x-amz-date']}\n{scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, end):
        key = hmac.digest(key, part.encode(), "sha256")
    assert parts["Signature"] == hmac.digest(key, text.encode(), "sha256").hex()
    return parts["Signature"]


@pytest.mark.parametrize("arn", [ARN, f"{ARN}.fifo"])
async def test_sns_gets_a_signed_request_to_publish(
    local: None, settings: Settings, poster: Poster, arn: str
) -> None:
    told = TOLD | {"topicArn": arn}
    with receiving() as receiver:
        lead_to(settings, receiver)
        answered = await send(poster, ChannelKind.SNS, told, SECRET_KEY, "", telling())
        [received] = receiver.so_far()
    assert answered.is_taken, answered
    assert signature_of(received, SECRET_KEY)
    asked = {name: values[0] for name, values in parse_qs(received.body.decode()).items()}
    assert (asked["Action"], asked["TopicArn"]) == ("Publish", arn)
    assert asked["Subject"] == "[Acme] 12 runs failed"
    assert "Call <!channel>" in asked["Message"]
    assert ("MessageGroupId" in asked) == arn.endswith(".fifo")


async def test_what_a_service_says_about_a_refusal_is_shown(
    local: None, settings: Settings, poster: Poster
) -> None:
    with receiving(lambda _: Answer(403, b"<Message>no such key</Message>")) as receiver:
        lead_to(settings, receiver)
        answered = await sent(poster, ChannelKind.SNS, SECRET_KEY)
    assert (answered.is_taken, answered.status) == (False, 403)
    assert answered.error == "answered 403: <Message>no such key</Message>"


async def test_a_redirect_to_loopback_is_not_followed(local: None, poster: Poster) -> None:
    with receiving() as inside:
        away = Answer(302, headers={"Location": inside.url()})
        with receiving(lambda _: away) as receiver:
            answered = await sent(poster, ChannelKind.SLACK, receiver.url())
        assert inside.so_far() == []
    assert (answered.is_taken, answered.status) == (False, 302)


async def test_a_private_address_is_not_connected_to(poster: Poster) -> None:
    with receiving() as receiver:
        answered = await sent(poster, ChannelKind.SLACK, receiver.url())
        assert receiver.so_far() == []
    assert "not allowed" in answered.error


async def test_a_channel_that_hangs_is_left(
    local: None, poster: Poster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "TOTAL_SECONDS", 0.2)
    with silent_server() as (host, port):
        answered = await sent(poster, ChannelKind.SLACK, f"http://{host}:{port}/")
    assert answered.status is None
    assert answered.error == "no answer within 0 seconds"


async def test_mail_arrives_with_where_to_look(poster: Poster, settings: Settings) -> None:
    with smtp_server() as inbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = inbox.host, inbox.port
        settings.EMAIL_USE_TLS, settings.DEFAULT_FROM_EMAIL = False, "hatchet@acme.test"
        answered = await sent(
            poster, ChannelKind.EMAIL, address="ops@acme.test", event=AlertEvent.RESOLVED
        )
        message = inbox.wait_for("ops@acme.test")
    assert answered.is_taken
    assert message["Subject"] == "[Acme] Resolved: 12 runs failed"
    assert "https://hatchet.test/t/acme/alerts/1" in message.get_content()


async def test_mail_that_does_not_leave_is_not_taken(poster: Poster, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answered = await sent(poster, ChannelKind.EMAIL, address="ops@acme.test")
    assert not answered.is_taken
    assert "has not left" in answered.error
