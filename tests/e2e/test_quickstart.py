"""The quickstart as a newcomer runs it: the worker, and the demo against it."""

from __future__ import annotations

import sys

from tests.e2e.stack import ROOT, Stack
from tests.e2e.tenant import Tenant, wait_for

QUICKSTART = ROOT / "examples" / "quickstart"


def test_the_demo_shows_every_task_and_succeeds(stack: Stack, tenant: Tenant) -> None:
    worker = stack.spawn(
        "quickstart", [sys.executable, "worker.py"], tenant.environment, QUICKSTART
    )
    tenant.services.append(worker)
    wait_for(
        "the worker",
        lambda: tenant.rows("SELECT 1 FROM engine_worker WHERE tenant_id = %s", tenant.id),
    )
    demo = stack.spawn("demo", [sys.executable, "demo.py"], tenant.environment, QUICKSTART)
    tenant.services.append(demo)
    assert demo.process.wait(60) == 0, demo.output
    for expected in (
        "Welcome, Ada!",
        "6 words",
        "Welcome, Grace!, Welcome, Alan!, Welcome, Edsger!",
        "3 x lemonade: 7.50",
        "worked on attempt 3",
        "it runs again in time,",
        "4 lines",
        "Welcome, Barbara! Paid: 42.00",
        "worker has been up for",
        "Everything worked.",
    ):
        assert expected in demo.output
    assert worker.stop() == 0, worker.output


def test_the_demo_says_so_when_it_fails(stack: Stack, tenant: Tenant) -> None:
    environment = {**tenant.environment, "HATCHET_CLIENT_TOKEN": tenant.token[:-6] + "AAAAAA"}
    demo = stack.spawn("demo", [sys.executable, "demo.py"], environment, QUICKSTART)
    tenant.services.append(demo)
    assert demo.process.wait(60) == 1, demo.output
    assert "This failed: " in demo.output
