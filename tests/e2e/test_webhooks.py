"""Webhooks with the official SDK, a real web process, and the guide's Stripe, GitHub and Slack cookbooks."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Account, open_browser, open_page
from tests.e2e.pages import sign_in, wait_until_live
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for
from tests.webhooks import senders

MEBIBYTE = 1024 * 1024
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("webhooks")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("webhooks")


def url_of(tenant: Tenant, name: str) -> str:
    base = f"{tenant.stack.server_url}/api/v1/stable/tenants/{tenant.id}/webhooks"
    return f"{base}/{quote(name, safe='')}"


def send(
    tenant: Tenant,
    name: str,
    body: bytes,
    headers: Mapping[str, str],
    content_type: str = "application/json",
) -> tuple[int, Any]:
    request = urllib.request.Request(
        url_of(tenant, name), body, {"Content-Type": content_type, **headers}, method="POST"
    )
    try:
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def deliveries(tenant: Tenant, name: str) -> list[tuple[Any, ...]]:
    """The verdict, the status and the length of each delivery, oldest first."""
    return tenant.rows(
        "SELECT verdict, status, body_bytes FROM webhooks_delivery d"
        " JOIN webhooks_webhook w ON w.id = d.webhook_id"
        " WHERE w.tenant_id = %s AND w.name = %s ORDER BY d.id",
        tenant.id,
        name,
    )


def make(client: Client, source: str, name: str, expression: str | None = None) -> dict[str, Any]:
    preset = senders.PRESETS[source]
    made: dict[str, Any] = client.call(
        "make",
        source=source,
        name=name,
        expression=expression or preset["eventKeyExpression"],
        kind="HMAC",
        auth=preset["auth"],
    )
    return made


@pytest.mark.parametrize("name", ["orders", "team/größe ☃"])
def test_the_client_of_webhooks(tenant: Tenant, client: Client, name: str) -> None:
    auth = {"username": "u", "password": "p"}
    made = client.call(
        "make",
        source="GENERIC",
        name=name,
        expression="'made:' + input.type",
        kind="BASIC",
        auth=auth,
        scope_expression="input.customer",
        static_payload={"source": "static"},
    )
    assert made == {
        "name": name,
        "sourceName": "GENERIC",
        "eventKeyExpression": "'made:' + input.type",
        "scopeExpression": "input.customer",
        "staticPayload": {"source": "static"},
        "authType": "BASIC",
        "returnEventAsResponsePayload": True,
    }
    assert client.call("find", name=name) == made
    assert name in client.call("names", webhook_names=[name, "other"])
    assert name in client.call("names", source_names=["GENERIC"], limit=10, offset=0)
    assert client.call("names", source_names=["SVIX"]) == []
    key = f"made:{len(name)}"
    body = json.dumps({"type": str(len(name)), "customer": "c1", "source": "sent"}).encode()
    status, answer = send(tenant, name, body, senders.basic("u", "p"))
    assert (status, answer["event"]["key"]) == (200, key)
    [event] = client.call("events", key=key)
    assert (event["id"], event["webhook"]) == (answer["event"]["metadata"]["id"], name)
    assert event["scope"] == "c1"
    assert event["payload"] == {"type": str(len(name)), "customer": "c1", "source": "static"}
    changed = client.call("change", name=name, scope_expression="input.other")
    assert changed == made | {"scopeExpression": "input.other"}
    changed = client.call(
        "change", name=name, scope_expression="", return_event_as_response_payload=False
    )
    assert changed["scopeExpression"] is None
    assert send(tenant, name, body, senders.basic("u", "p")) == (204, None)
    for wrong in (
        senders.basic("u", "x"),
        senders.basic("", ""),
        {},
        {"Authorization": "Bearer x"},
    ):
        assert send(tenant, name, body, wrong)[0] == 403
    assert client.call("remove", name=name) == name
    assert send(tenant, name, body, senders.basic("u", "p"))[0] == 404


PAYMENT = {
    "id": "evt_1",
    "type": "payment_intent.succeeded",
    "data": {"object": {"customer": "cus_1", "amount": 1_999}},
}
PULL_REQUEST = {"action": "opened", "pull_request": {"number": 7, "title": "Mend it"}}
MENTION = {"type": "event_callback", "event": {"type": "app_mention", "user": "U1", "text": "hi"}}
COMMAND = {
    "command": "/deploy",
    "text": "production",
    "user_name": "zoë",
    "response_url": "https://hooks.slack.com/commands/1",
}
PRESSED = {"type": "block_actions", "actions": [{"action_id": "approve"}]}


@pytest.mark.usefixtures("worker")
def test_the_cookbooks_run(tenant: Tenant, client: Client) -> None:
    make(client, "STRIPE", "stripe")
    make(client, "GITHUB", "github")
    make(client, "SLACK", "slack-events")
    make(client, "SLACK", "slack-commands", "'slack:command:' + input.command")
    make(client, "SLACK", "slack-interactions", "'slack:interaction:' + input.type")
    challenge = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"}).encode()
    assert send(tenant, "slack-events", challenge, {}) == (200, {"challenge": "3eZbrw1a"})

    payment, pull = json.dumps(PAYMENT).encode(), json.dumps(PULL_REQUEST).encode()
    mention, command = json.dumps(MENTION).encode(), urlencode(COMMAND).encode()
    pressed = urlencode({"payload": json.dumps(PRESSED)}).encode()
    answers = [
        send(tenant, "stripe", payment, senders.stripe(payment)),
        send(tenant, "github", pull, senders.github(pull, event="pull_request")),
        send(tenant, "slack-events", mention, senders.slack(mention)),
        send(tenant, "slack-commands", command, senders.slack(command), FORM),
        send(tenant, "slack-interactions", pressed, senders.slack(pressed), FORM),
    ]
    assert [status for status, _ in answers] == [200] * 5
    assert tenant.wait_for_marks("stripe") == ["cus_1 1999"]
    assert tenant.wait_for_marks("github") == ["7 Mend it"]
    assert tenant.wait_for_marks("mention") == ["U1 hi"]
    assert tenant.wait_for_marks("command") == ["zoë /deploy production"]
    assert tenant.wait_for_marks("interaction") == ["approve"]
    for _, answer in answers:
        event_id = answer["event"]["metadata"]["id"]
        assert client.call("output_of_event", event_id=event_id) == [{"event": event_id}]
    for name, body in (("stripe", payment), ("github", pull), ("slack-events", mention)):
        assert send(tenant, name, body, {})[0] in (400, 403)
    assert len(tenant.marks("stripe") + tenant.marks("github") + tenant.marks("mention")) == 3


def test_long_bodies_to_an_address_are_taken_in_up_to_the_largest_message(
    tenant: Tenant, client: Client
) -> None:
    make(client, "GITHUB", "long", "'long'")
    whole = b'{"text": "' + b"x" * (3 * MEBIBYTE) + b'"}'
    status, answer = send(tenant, "long", whole, senders.github(whole))
    assert (status, len(answer["event"]["payload"]["text"])) == (200, 3 * MEBIBYTE)
    too_long = b" " * (5 * MEBIBYTE)
    assert send(tenant, "long", too_long, {})[0] == 413
    assert send(tenant, "nobody", whole, {})[0] == 413
    wait_for("the refusal to be recorded", lambda: len(deliveries(tenant, "long")) == 2)
    assert deliveries(tenant, "long") == [
        ("ACCEPTED", 200, len(whole)),
        ("TOO_LARGE", 413, len(too_long)),
    ]


def test_a_burst_of_long_deliveries_is_accepted(tenant: Tenant, client: Client) -> None:
    make(client, "GITHUB", "burst", "'burst:' + headers['x-github-event'] + input.action")
    body = json.dumps({"action": "opened", "text": "x" * 100_000}).encode()
    headers = senders.github(body)
    with ThreadPoolExecutor(16) as threads:
        sent = threads.map(lambda _: send(tenant, "burst", body, headers), range(64))
        answers = list(sent)
    assert [status for status, _ in answers] == [200] * 64
    assert len({answer["event"]["metadata"]["id"] for _, answer in answers}) == 64
    assert len(deliveries(tenant, "burst")) == 64


def test_a_body_in_chunks_is_verified_byte_for_byte(tenant: Tenant, client: Client) -> None:
    make(client, "GITHUB", "chunked", "'chunked:' + input.type")
    body = b'{"type": "a", "text": "' + b"y" * (2 * MEBIBYTE) + b'"}'
    address = urlsplit(tenant.stack.server_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0)
    parts = iter([body[:10], body[10 : MEBIBYTE + 3], body[MEBIBYTE + 3 :]])
    headers = {"Content-Type": "application/json", **senders.github(body)}
    path = urlsplit(url_of(tenant, "chunked")).path
    connection.request("POST", path, parts, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["event"]["key"] == "chunked:a"
    connection.close()


def test_a_person_connects_github_from_the_page_alone(stack: Any) -> None:
    secret, name = "typed by hand", "from-the-page"
    account = Account()
    with open_browser() as browser:
        page = open_page(browser, account)
        sign_in(page, stack)
        page.get_by_role("link", name="Webhooks").click()
        page.get_by_role("link", name="New webhook").first.click()
        page.get_by_role("link", name="GitHub").click()
        page.get_by_label("Name").fill(name)
        page.get_by_label("Secret").fill(secret)
        page.get_by_role("button", name="Create webhook").click()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        url = page.get_by_label("URL for the sender").input_value()
        assert url.startswith(f"{stack.server_url}/api/v1/stable/tenants/")
        wait_until_live(page)

        body = json.dumps(PULL_REQUEST).encode()
        headers = senders.github(body, secret, "pull_request")
        request = urllib.request.Request(
            url, body, {"Content-Type": "application/json", **headers}, method="POST"
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200
        accepted = page.locator("#delivery-list").get_by_text("github:pull_request:opened")
        expect(accepted).to_be_visible()
        page.locator("#delivery-list tbody a").first.click()
        expect(page.get_by_text("Mend it")).to_be_visible()
        page.get_by_role("button", name="Deliver again").click()
        expect(page.get_by_text("Delivered again, as a new delivery.")).to_be_visible()
        assert secret not in page.content()
        page.close()
    assert account.complaints == []
    assert account.foreign(stack.server_url) == []
