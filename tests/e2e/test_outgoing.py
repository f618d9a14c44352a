"""Outgoing webhooks with real processes: an engine that is killed while it sends loses nothing."""

from __future__ import annotations

import json
import threading
import urllib.request
from typing import Any

import pytest

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


@pytest.mark.chaos
def test_an_engine_killed_between_sending_and_noting_has_another_send_again(
    own_stack: Stack, own_tenant: Tenant
) -> None:
    own_stack.environment["SERVER_WEBHOOKS_ALLOWED_PRIVATE_NETWORKS"] = "127.0.0.0/8"
    killed = threading.Event()

    def answer(_: Received) -> Answer:
        """The first one takes what it is sent, and the engine does not live to hear of it."""
        killed.wait(PATIENCE_SECONDS)
        return Answer()

    with receiving(answer) as receiver:
        engine = own_stack.start_engine()
        own_stack.start_web()
        made = asked(own_tenant, "", {"url": receiver.url(), "kinds": ["run.created"]})
        path = f"/{made['metadata']['id']}"
        sent = asked(own_tenant, f"{path}/test", {})
        [first] = receiver.wait_for(1)
        engine.kill()
        killed.set()
        own_stack.start_engine()
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
