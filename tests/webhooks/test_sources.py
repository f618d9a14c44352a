"""Each source accepts what its documentation says it sends, and nothing that differs by one byte."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from itertools import count
from urllib.parse import urlencode

import pytest

from engine.models import Event
from tests.api.client import ApiClient
from tests.api.factories import make_workflow
from tests.cast import Cast
from tests.webhooks import senders
from tests.webhooks.senders import BODIES, KEYS, PRESETS, SECRET, SIGNERS, Sender, make
from webhooks import limits
from webhooks.arrived import Arrived, Refused
from webhooks.credentials import Credentials
from webhooks.models import AuthType, Delivery, Verdict
from webhooks.sources import all_sources

HOUR = 3_600
TOO_OLD = {"STRIPE": 400, "SLACK": 403, "SVIX": 400}


def test_the_sources_are_those_of_the_contract() -> None:
    assert set(all_sources()) == {"GENERIC", "GITHUB", "STRIPE", "SLACK", "LINEAR", "SVIX"}


@pytest.mark.parametrize("source", sorted(PRESETS))
def test_what_the_sender_signs_becomes_an_event(cast: Cast, api: ApiClient, source: str) -> None:
    make_workflow(cast.tenant, event_triggers=(KEYS[source],))
    sender = make(api, cast.tenant, source)
    body = json.dumps(BODIES[source], indent=1).encode()
    answer = sender.send(body, SIGNERS[source](body))
    assert answer.status == 200, answer.content
    event = answer.json["event"]
    assert (event["key"], event["payload"]) == (KEYS[source], BODIES[source])
    assert event["triggeringWebhookName"] == "hook"
    [run] = event["triggeredRuns"]
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.event_key) == (Verdict.ACCEPTED, KEYS[source])
    assert str(delivery.event_id) == event["metadata"]["id"]
    assert api.get(f"/api/v1/stable/workflow-runs/{run['workflowRunId']}").status == 200


@pytest.mark.parametrize("source", sorted(PRESETS))
def test_one_wrong_byte_anywhere_is_refused(
    cast: Cast, api: ApiClient, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count()
    monkeypatch.setattr(limits, "shared", limits.CallLimits(lambda: float(next(seconds))))
    sender = make(api, cast.tenant, source)
    body = json.dumps(BODIES[source]).encode()
    headers = SIGNERS[source](body)
    for at in range(len(body)):
        wrong = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        assert sender.send(wrong, headers).status == 403, at
    signed = next(name for name in headers if "ignature" in name)
    value = headers[signed]
    for at in sorted(set(range(len(value))) - decoys(source, value)):
        wrong_value = value[:at] + ("1" if value[at] != "1" else "2") + value[at + 1 :]
        assert sender.send(body, headers | {signed: wrong_value}).status in (400, 403), at
    assert not Event.objects.exists()
    assert sender.send(body, headers).status == 200


def decoys(source: str, value: str) -> set[int]:
    """The places of signatures that are wrong anyhow: any right one is enough."""
    if source == "STRIPE":
        first, last = value.find("v1="), value.rfind(",v1=")
        return {*range(first, last), *range(value.rfind(",v0=") + 1, len(value))}
    return set(range(value.rfind(" v1,"))) if source == "SVIX" else set()


@pytest.mark.parametrize("source", sorted(PRESETS))
def test_a_missing_signature_and_another_secret_are_refused(
    cast: Cast, api: ApiClient, source: str
) -> None:
    sender = make(api, cast.tenant, source)
    body = json.dumps(BODIES[source]).encode()
    missing = 400 if source in ("STRIPE", "SVIX") else 403
    assert sender.send(body, {}).status == missing
    wrong = "whsec_c29tZXRoaW5nIGVsc2U=" if source == "SVIX" else "something else"
    assert sender.send(body, SIGNERS[source](body, wrong)).status == 403
    assert {one.verdict for one in Delivery.objects.all()} <= {Verdict.FORGED, Verdict.INCOMPLETE}
    assert not Event.objects.exists()


@pytest.mark.parametrize("source", sorted(TOO_OLD))
@pytest.mark.parametrize("skew", [-HOUR, HOUR, -601, 601])
def test_a_clock_that_is_wrong_is_refused(
    cast: Cast, api: ApiClient, source: str, skew: int
) -> None:
    sender = make(api, cast.tenant, source)
    body = json.dumps(BODIES[source]).encode()
    signed = {"STRIPE": senders.stripe, "SLACK": senders.slack, "SVIX": senders.svix}[source]
    # A second passes now and then between signing and looking.
    skew += 5 if skew > 0 else 0
    answer = sender.send(body, signed(body, at=senders.now() + skew))
    assert answer.status == TOO_OLD[source]
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.is_verified) == (Verdict.STALE, False)


@pytest.mark.parametrize("source", sorted(TOO_OLD))
def test_what_took_some_minutes_is_accepted(cast: Cast, api: ApiClient, source: str) -> None:
    sender = make(api, cast.tenant, source)
    body = json.dumps(BODIES[source]).encode()
    signed = {"STRIPE": senders.stripe, "SLACK": senders.slack, "SVIX": senders.svix}[source]
    assert sender.send(body, signed(body, at=senders.now() - 240)).status == 200


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=ab", "t=x,v1=ab", "t=1,v1=a=b", "t,v1", "t=99999999999999,v1=ab", ","]
)
def test_a_header_of_stripe_that_cannot_be_read(cast: Cast, api: ApiClient, header: str) -> None:
    sender = make(api, cast.tenant, "STRIPE")
    assert sender.send(b"{}", {"Stripe-Signature": header}).status == 400


def test_svix_is_also_heard_under_the_names_of_standard_webhooks(
    cast: Cast, api: ApiClient
) -> None:
    sender = make(api, cast.tenant, "SVIX")
    body = json.dumps(BODIES["SVIX"]).encode()
    assert sender.send(body, senders.svix(body, prefix="webhook")).status == 200


# Examples printed in the documentation of the senders.

GITHUB_EXAMPLE = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibI"
    b"GlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_EXAMPLE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def verify(source: str, secret: str, header: str, body: bytes, at: int = 0, **headers: str) -> None:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    expected = Credentials(auth_type=AuthType.HMAC, secret=secret, header_name=header)
    arrived = Arrived(given, body, datetime.fromtimestamp(at, UTC))
    all_sources()[source].verify(arrived, expected)


def test_the_example_of_github() -> None:
    secret, body = "It's a Secret to Everybody", b"Hello, World!"
    name = "X-Hub-Signature-256"
    verify("GITHUB", secret, name, body, x_hub_signature_256=f"sha256={GITHUB_EXAMPLE}")
    with pytest.raises(Refused):
        verify("GITHUB", secret, name, body + b"!", x_hub_signature_256=f"sha256={GITHUB_EXAMPLE}")


def test_the_example_of_slack() -> None:
    secret, at = "8f742231b10e8888abcd99yyyzzz85a5", 1531420618
    given = {"x_slack_request_timestamp": str(at), "x_slack_signature": SLACK_EXAMPLE}
    verify("SLACK", secret, "X-Slack-Signature", SLACK_BODY, at + 60, **given)
    with pytest.raises(Refused):
        verify("SLACK", secret, "X-Slack-Signature", SLACK_BODY[:-1], at + 60, **given)


def test_the_example_of_svix() -> None:
    given = {
        "svix_id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "svix_timestamp": "1614265330",
        "svix_signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    verify("SVIX", senders.SVIX_SECRET, "svix-signature", body, 1614265331, **given)
    with pytest.raises(Refused):
        verify("SVIX", senders.SVIX_SECRET, "svix-signature", body + b" ", 1614265331, **given)


# What Slack sends besides events.


def test_slack_is_answered_when_it_asks_for_the_address(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, "SLACK")
    asked = {"type": "url_verification", "token": "x", "challenge": "3eZbrw1aBm2rZgRNFdx…"}
    answer = sender.send_json(asked, {})
    assert (answer.status, answer.json) == (200, {"challenge": "3eZbrw1aBm2rZgRNFdx…"})
    assert answer.headers["Content-Type"] == "application/json"
    assert Delivery.objects.get().verdict == Verdict.CHALLENGE
    assert not Event.objects.exists()
    assert sender.send_json({"challenge": 7}, {}).status == 403
    assert make(api, cast.tenant, name="other").send_json(asked, {}).status == 403


def test_a_slash_command_is_a_form(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, "SLACK", eventKeyExpression="'slack:command:' + input.command")
    fields = {"command": "/deploy", "text": "", "user_name": "zoë"}
    body = urlencode(fields).encode()
    answer = sender.send(body, senders.slack(body), senders_form())
    assert answer.status == 200, answer.content
    event = answer.json["event"]
    assert (event["key"], event["payload"]) == ("slack:command:/deploy", fields)


def test_a_button_sends_json_in_a_field(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, "SLACK", eventKeyExpression="'slack:interaction:' + input.type")
    pressed = {"type": "block_actions", "actions": [{"action_id": "go"}]}
    body = urlencode({"payload": json.dumps(pressed)}).encode()
    answer = sender.send(body, senders.slack(body), senders_form())
    event = answer.json["event"]
    assert (event["key"], event["payload"]) == ("slack:interaction:block_actions", pressed)
    wrong = urlencode({"payload": "[1]"}).encode()
    assert sender.send(wrong, senders.slack(wrong), senders_form()).status == 400


def senders_form() -> str:
    return "application/x-www-form-urlencoded; charset=utf-8"


def test_other_sources_take_no_forms(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant, "GITHUB")
    body = urlencode({"payload": "{}"}).encode()
    assert sender.send(body, senders.github(body), senders_form()).status == 400


# Whatever else programs can prove themselves by.


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512", "MD5"])
@pytest.mark.parametrize("encoding", ["HEX", "BASE64", "BASE64URL"])
@pytest.mark.parametrize("prefix", ["", "{algorithm}=", "  "])
def test_every_algorithm_in_every_encoding(
    cast: Cast, api: ApiClient, algorithm: str, encoding: str, prefix: str
) -> None:
    auth = senders.hmac_auth(algorithm=algorithm, encoding=encoding)
    sender = make(api, cast.tenant, authType="HMAC", auth=auth)
    body = b'{"type": "a"}'
    digest = senders.hmac_of(algorithm.lower(), SECRET.encode(), body)
    encoded = {
        "HEX": digest.hex(),
        "BASE64": base64.b64encode(digest).decode(),
        "BASE64URL": base64.urlsafe_b64encode(digest).decode(),
    }[encoding]
    given = prefix.format(algorithm=algorithm.lower()) + encoded
    assert sender.send(body, {"X-Signature": given}).status == 200
    assert sender.send(body, {"X-Signature": given[:-2] + "!="}).status == 403
    assert sender.send(body + b" ", {"X-Signature": given}).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer ey.not.valid"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()},
        senders.basic("user", "wrong"),
        senders.basic("other", SECRET),
        senders.basic("user", SECRET + "1"),
        senders.basic("", ""),
    ],
)
def test_wrong_passwords_are_refused(cast: Cast, api: ApiClient, headers: dict[str, str]) -> None:
    auth = {"username": "user", "password": SECRET}
    sender = make(api, cast.tenant, authType="BASIC", auth=auth)
    assert sender.send_json({"type": "a"}, headers).status == 403
    assert sender.send_json({"type": "a"}, senders.basic("user", SECRET)).status == 200


def test_wrong_keys_are_refused(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant)
    for headers in ({}, {"X-Key": ""}, {"X-Key": "wrong"}, {"X-Key": SECRET + " "}):
        expected = 200 if headers.get("X-Key", "").strip() == SECRET else 403
        assert sender.send_json({"type": "a"}, headers).status in (403, expected)
    assert sender.send_json({"type": "a"}, {"x-kEY": SECRET}).status == 200


def test_a_generic_form_gives_its_first_values(cast: Cast, api: ApiClient) -> None:
    sender = make(api, cast.tenant)
    body = b"type=a&n=1&n=2&empty=&tenant=x&name=%C3%A9"
    answer = sender.send(body, senders.KEY, senders_form())
    assert answer.json["event"]["payload"] == {"type": "a", "n": "1", "empty": "", "name": "é"}
    assert Sender(cast.tenant).send(b"a=%ff", senders.KEY, senders_form()).status == 400
