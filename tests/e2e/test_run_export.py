"""Exports against the real web process: they wait for whoever reads them."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from tenants.rest.streaming import MOST_AT_ONCE
from tests.e2e.tenant import Tenant, wait_for

MEGABYTE = 1_000_000
RUNS = 12
"""Together they are more than what sockets keep of an answer that nobody reads."""


@pytest.fixture(scope="module")
def path(tenant: Tenant) -> str:
    """The export of some large runs."""
    tenant.start_worker("basics")
    stable = f"/api/v1/stable/tenants/{tenant.id}"
    for _ in range(RUNS):
        body = {"workflowName": "nothing", "input": {"text": "x" * 2 * MEGABYTE}}
        request = urllib.request.Request(
            f"{tenant.stack.server_url}{stable}/workflow-runs/trigger",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {tenant.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["run"]["metadata"]["id"]
    return f"{stable}/runs/export?since=2020-01-01T00:00:00Z"


def start_reading(tenant: Tenant, path: str) -> socket.socket:
    """Ask for an export and read no more than its first bytes."""
    address = urlsplit(tenant.stack.server_url)
    connection = socket.create_connection((address.hostname, address.port), 60)
    head = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {tenant.token}"]
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def status_of(tenant: Tenant, path: str) -> int:
    """The status of an export of which not much is asked for."""
    request = urllib.request.Request(
        f"{tenant.stack.server_url}{path}&include_payloads=false",
        headers={"Authorization": f"Bearer {tenant.token}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            assert len(answer.read().splitlines()) == RUNS
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_what_is_not_read_is_not_collected_and_whoever_leaves_makes_room(
    tenant: Tenant, path: str
) -> None:
    """A server that sent without waiting would be done with them, and have room for the next one."""
    with ExitStack() as open_ones:
        slow = [
            open_ones.enter_context(closing(start_reading(tenant, path)))
            for _ in range(MOST_AT_ONCE)
        ]
        assert status_of(tenant, path) == 429
        slow[0].close()
        wait_for("room", lambda: status_of(tenant, path) == 200)
        with slow[1].makefile("rb") as file:
            rest = file.read(RUNS * 2 * MEGABYTE)
        assert len(rest) == RUNS * 2 * MEGABYTE
    wait_for("room for all", lambda: status_of(tenant, path) == 200)
