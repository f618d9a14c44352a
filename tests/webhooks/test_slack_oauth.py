"""The way to Slack and back, against a server that answers as Slack documents it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_django import Settings

from engine.alerting_config import SlackConfig
from engine.config import Config
from tests.api.client import ApiClient
from tests.cast import Cast
from tests.webhooks.receiver import Answer, Received, Receiver, receiving
from webhooks.encryption import decrypt
from webhooks.models import AlertChannel

CALLBACK = "/api/v1/users/slack/callback"
HOOK = "https://hooks.slack.example/services/T1/B1/secret"
SAID: dict[str, Any] = {
    "ok": True,
    "team": {"id": "T1", "name": "Acme"},
    "incoming_webhook": {
        "channel": "#ops",
        "channel_id": "C1",
        "configuration_url": "https://acme.slack.example/services/B1",
        "url": HOOK,
    },
}


class FakeSlack:
    """What it answers to an exchange, and what it was asked."""

    def __init__(self) -> None:
        self.said: Any = SAID
        self.status = 200

    def answer(self, _: Received) -> Answer:
        body = self.said if isinstance(self.said, bytes) else json.dumps(self.said).encode()
        return Answer(self.status, body, {"Content-Type": "application/json"})


@pytest.fixture
def fake() -> FakeSlack:
    return FakeSlack()


@pytest.fixture
def slack(fake: FakeSlack, installation: Config, settings: Settings) -> Iterator[Receiver]:
    with receiving(fake.answer) as receiver:
        config = SlackConfig(
            client_id="client", client_secret="s3cret", scopes=("a", "b"), url=receiver.url("")
        )
        alerting = replace(installation.alerting, slack=config)
        settings.HATCHET = replace(installation, alerting=alerting)
        yield receiver


def start_at(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/slack/start"


def left(cast: Cast, client: ApiClient) -> dict[str, str]:
    """Go to Slack; return what it is asked."""
    answer = client.get(start_at(cast))
    assert answer.status == 302
    return {
        name: values[0]
        for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()
    }


def test_somebody_goes_to_slack_and_comes_back_with_a_channel(cast: Cast, slack: Receiver) -> None:
    member = ApiClient(user=cast.member)
    asked = left(cast, member)
    assert (asked["client_id"], asked["scope"]) == ("client", "a,b")
    assert asked["redirect_uri"] == f"http://hatchet.test:8080{CALLBACK}"
    back = {"code": "one-time", "state": asked["state"]}
    answer = member.get(CALLBACK, back)
    assert (answer.status, answer.headers["Location"]) == (302, "/t/acme/alerts/channels")
    [received] = slack.so_far()
    assert received.path == "/api/oauth.v2.access"
    given = {name: values[0] for name, values in parse_qs(received.body.decode()).items()}
    assert (given["code"], given["client_secret"]) == ("one-time", "s3cret")
    channel = AlertChannel.objects.get()
    assert decrypt(bytes(channel.secret)) == HOOK
    [row] = member.get(f"/api/v1/tenants/{cast.tenant.id}/slack").json["rows"]
    assert (
        row.items()
        >= {
            "tenantId": str(cast.tenant.id),
            "teamName": "Acme",
            "teamId": "T1",
            "channelName": "#ops",
            "channelId": "C1",
        }.items()
    )
    assert HOOK not in str(row)
    member.get(CALLBACK, back)
    assert AlertChannel.objects.count() == 1  # a state works once
    assert member.delete(f"/api/v1/slack/{channel.id}").status == 204


@pytest.mark.parametrize(
    "back",
    [
        {},
        {"code": "c"},
        {"code": "c", "state": "made up"},
        {"code": "c", "state": "\ud800"},
        {"error": "access_denied", "state": "{state}"},
        {"code": "c" * 2_000, "state": "{state}"},
    ],
)
def test_who_comes_back_with_something_else_adds_nothing(
    cast: Cast, slack: Receiver, back: dict[str, str]
) -> None:
    member = ApiClient(user=cast.member)
    state = left(cast, member)["state"]
    given = {
        name: value.replace("{state}", state).encode(errors="replace").decode()
        for name, value in back.items()
    }
    assert member.get(CALLBACK, given).status == 302
    assert slack.so_far() == []
    assert not AlertChannel.objects.exists()


@pytest.mark.parametrize(
    "said",
    [
        {"ok": False, "error": "invalid_code"},
        {"ok": True},
        {"ok": "yes", **{k: v for k, v in SAID.items() if k != "ok"}},
        SAID | {"incoming_webhook": {"url": HOOK}},
        SAID | {"incoming_webhook": "no"},
        SAID | {"incoming_webhook": SAID["incoming_webhook"] | {"url": "http://127.0.0.1/"}},
        [],
        b"not JSON",
        b"x" * 1_000_000,
    ],
)
def test_what_slack_says_is_judged(cast: Cast, slack: Receiver, fake: FakeSlack, said: Any) -> None:
    fake.said = said
    member = ApiClient(user=cast.member)
    state = left(cast, member)["state"]
    answer = member.get(CALLBACK, {"code": "c", "state": state})
    assert answer.status == 302
    assert not AlertChannel.objects.exists()


def test_somebody_else_cannot_come_back_for_them(cast: Cast, slack: Receiver) -> None:
    state = left(cast, ApiClient(user=cast.member))["state"]
    ApiClient(user=cast.admin).get(CALLBACK, {"code": "c", "state": state})
    assert ApiClient().get(CALLBACK, {"code": "c", "state": state}).status == 403
    assert not AlertChannel.objects.exists()


def test_who_lost_the_tenant_meanwhile_adds_nothing(cast: Cast, slack: Receiver) -> None:
    member = ApiClient(user=cast.member)
    state = left(cast, member)["state"]
    cast.member.memberships.all().delete()
    assert member.get(CALLBACK, {"code": "c", "state": state}).status == 302
    assert not AlertChannel.objects.exists()


def test_viewers_and_tokens_do_not_go_there(api: ApiClient, cast: Cast, slack: Receiver) -> None:
    assert ApiClient(user=cast.viewer).get(start_at(cast)).status == 401
    assert ApiClient(user=cast.stranger).get(start_at(cast)).status == 401
    assert api.get(start_at(cast)).status == 401


def test_without_an_app_it_is_switched_off(cast: Cast) -> None:
    member = ApiClient(user=cast.member)
    for path in (start_at(cast), CALLBACK):
        answer = member.get(path)
        assert (answer.status, answer.error) == (400, "this is switched off on this server")
