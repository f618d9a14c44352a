"""Several web processes on one port: requests and live pages find any of them, and one is replaced when it dies."""

from __future__ import annotations

import base64
import json
import os
import signal
import urllib.request
from contextlib import ExitStack, closing
from typing import Any

import psutil
import pytest

from tests.e2e.live_socket import LiveSocket
from tests.e2e.pages import EMAIL
from tests.e2e.stack import ROOT, Service, Stack

WORKER = ROOT / "examples/quickstart/worker.py"
ENOUGH_TABS = 40
"""That the kernel gives all of them to one of two processes happens once in 2 to the 39."""


def request(stack: Stack, path: str, body: Any = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(
        f"{stack.server_url}{path}",
        data=data,
        headers={"Content-Type": "application/json", **headers},
    )
    return urllib.request.urlopen(asked, timeout=120)


def signed_in(stack: Stack) -> str:
    body = {"email": EMAIL, "password": stack.password}
    with request(stack, "/api/v1/users/login", body) as answer:
        cookies = answer.headers.get_all("Set-Cookie")
    return "; ".join(cookie.partition(";")[0] for cookie in cookies)


def trigger(stack: Stack) -> str:
    token = {"Authorization": f"Bearer {stack.token}"}
    claims = stack.token.split(".")[1]
    tenant = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    path = f"/api/v1/stable/tenants/{tenant}/workflow-runs/trigger"
    body = {"workflowName": "greet", "input": {"name": "Ada"}}
    with request(stack, path, body, **token) as answer:
        run_id: str = json.load(answer)["run"]["metadata"]["id"]
        return run_id


def ask_often(stack: Stack) -> None:
    for _ in range(ENOUGH_TABS):
        with request(stack, "/api/live") as answer:
            assert answer.status == 200


def processes_of(web: Service) -> dict[int, psutil.Process]:
    return {child.pid: child for child in psutil.Process(web.process.pid).children()}


def servers_of(web: Service, tabs: dict[int, LiveSocket]) -> dict[int, list[LiveSocket]]:
    """Which process has which tabs."""
    found: dict[int, list[LiveSocket]] = {}
    for pid, process in processes_of(web).items():
        for connection in process.net_connections("tcp"):
            if connection.raddr and connection.raddr.port in tabs:
                found.setdefault(pid, []).append(tabs[connection.raddr.port])
    return found


@pytest.fixture(scope="module")
def web(empty_stack: Stack) -> Service:
    empty_stack.start_engine()
    web = empty_stack.start_web("--processes", "2")
    empty_stack.start_client("worker", WORKER).wait_for_output("waiting for tasks")
    return web


def test_tabs_of_every_process_hear_what_any_process_did(empty_stack: Stack, web: Service) -> None:
    cookie = signed_in(empty_stack)
    with ExitStack() as opened:
        tabs: dict[int, LiveSocket] = {}
        for _ in range(ENOUGH_TABS):
            tab = LiveSocket(empty_stack.server_url, "default", cookie, "runs")
            opened.enter_context(closing(tab))
            tabs[tab.local_port] = tab
            tab.wait_for(state="live")
        servers = servers_of(web, tabs)
        assert servers.keys() == processes_of(web).keys()
        trigger(empty_stack)
        for tab in tabs.values():
            tab.wait_for(topic="runs")


def test_one_that_dies_is_replaced_while_the_other_serves(empty_stack: Stack, web: Service) -> None:
    before = processes_of(web)
    victim, survivor = before
    os.kill(victim, signal.SIGKILL)
    web.wait_until(
        lambda: len(processes_of(web)) == 2 and victim not in processes_of(web), "replace it"
    )
    assert survivor in processes_of(web)
    ask_often(empty_stack)
    (new,) = processes_of(web).keys() - before.keys()
    web.wait_for_output(f"web process {new} serves HTTP")
    ask_often(empty_stack)


def test_all_end_in_order(empty_stack: Stack, web: Service) -> None:
    processes = list(processes_of(web).values())
    assert len(processes) == 2
    assert web.stop() == 0, web.output
    assert not any(process.is_running() for process in processes)
    assert "Traceback" not in web.output
