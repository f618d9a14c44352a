"""Outgoing webhooks with real processes and a browser: nothing is lost, and everything is seen."""

from __future__ import annotations

import json
import threading
import urllib.request
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.browser import Account, open_browser, open_page
from tests.e2e.pages import sign_in
from tests.e2e.stack import Stack
from tests.e2e.tenant import Tenant, wait_for
from tests.webhooks.receiver import PATIENCE_SECONDS, Answer, Received, receiving


def asked(tenant: Tenant, path: str, body: Any = None) -> Any:
    """Ask the web process about the tenant's endpoints, as a program does; POST if there is a body."""
    request = urllib.request.Request(
        f"{tenant.stack.server_url}/api/v1/stable/tenants/{tenant.id}/webhook-endpoints{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {tenant.token}"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@pytest.fixture
def local_stack(own_stack: Stack) -> Stack:
    """An installation that may send to this machine."""
    own_stack.environment["SERVER_WEBHOOKS_ALLOWED_PRIVATE_NETWORKS"] = "127.0.0.0/8"
    return own_stack


@pytest.mark.chaos
def test_an_engine_killed_between_sending_and_noting_has_another_send_again(
    local_stack: Stack, own_tenant: Tenant
) -> None:
    killed = threading.Event()

    def answer(_: Received) -> Answer:
        """The first one takes what it is sent, and the engine does not live to hear of it."""
        killed.wait(PATIENCE_SECONDS)
        return Answer()

    with receiving(answer) as receiver:
        engine = local_stack.start_engine()
        local_stack.start_web()
        made = asked(own_tenant, "", {"url": receiver.url(), "kinds": ["run.created"]})
        path = f"/{made['metadata']['id']}"
        sent = asked(own_tenant, f"{path}/test", {})
        [first] = receiver.wait_for(1)
        engine.kill()
        killed.set()
        local_stack.start_engine()
        # The claim of the dead engine would run out by itself in a minute.
        own_tenant.rows(
            "UPDATE webhooks_dispatch SET due_at = now() WHERE tenant_id = %s RETURNING 1",
            own_tenant.id,
        )
        _, second = receiver.wait_for(2)

        def is_delivered() -> bool:
            shown = asked(own_tenant, f"{path}/messages/{sent['messageId']}")
            return bool(shown["state"] == "DELIVERED")

        wait_for("the message to be delivered", is_delivered)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == sent["webhookId"]
    assert first.body == second.body == sent["body"].encode()
    assert first.is_signed_with(made["secret"])
    assert second.is_signed_with(made["secret"])


def test_a_person_makes_an_endpoint_and_sees_what_arrives(local_stack: Stack) -> None:
    local_stack.start()
    account = Account()
    with receiving() as receiver, open_browser() as browser:
        page = open_page(browser, account, width=320)

        def nothing_is_too_wide() -> None:
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, page.url

        sign_in(page, local_stack)
        page.goto(f"{local_stack.server_url}/t/default/webhooks")
        page.get_by_role("link", name="Outgoing").click()
        nothing_is_too_wide()
        page.get_by_role("link", name="New endpoint").first.click()
        nothing_is_too_wide()
        page.get_by_label("URL").fill(receiver.url("/" + "long-path-" * 12))
        page.get_by_role("button", name="Create endpoint").click()
        secret = page.get_by_label("Signing secret").input_value()
        nothing_is_too_wide()
        page.get_by_role("link", name="To the endpoint").click()
        expect(page.get_by_text("Nothing was sent yet")).to_be_visible()
        nothing_is_too_wide()
        page.get_by_role("button", name="Send a test").click()
        expect(page.locator("#attempts").get_by_text("Delivered")).to_be_visible()
        nothing_is_too_wide()
        page.goto(f"{local_stack.server_url}/t/default/webhook-endpoints")
        nothing_is_too_wide()
        [received] = receiver.so_far()
        page.context.close()
    assert received.kind == "endpoint.test"
    assert received.is_signed_with(secret)
    assert account.complaints == []
    assert account.foreign(local_stack.server_url) == []
