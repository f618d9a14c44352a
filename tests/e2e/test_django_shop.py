"""A paid order of the example shop has exactly one receipt, whichever line it was killed at."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.django_project import DjangoProject, drop_project, make_project
from tests.e2e.stack import ROOT, Stack
from tests.e2e.tenant import Tenant, wait_for

SHOP = ROOT / "examples" / "django_shop"
KILLING = Path(__file__).parent / "killing"
LINES_OF_PAY = 8
"""More than it runs: the last one is its return."""
POINTS_OF_RECEIPT = [
    *(f"shop/tasks.py:send_receipt:{number}" for number in (1, 5)),
    # With the completion asked for and not committed; committed, and not told to the engine.
    "hatchet_django_tasks/sql.py:complete:4",
    "hatchet_django_tasks/running.py:call:99",
]


class Shop:
    def __init__(self, project: DjangoProject, connection: psycopg.Connection) -> None:
        self.project, self._connection = project, connection
        self.environment = {
            **project.environment,
            "SHOP_DATABASE": project.database,
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": os.pathsep.join(
                [str(KILLING), str(SHOP), project.environment["PYTHONPATH"]]
            ),
        }

    def order(self) -> int:
        row = self._connection.execute(
            "INSERT INTO shop_order (email) VALUES ('a@b.test') RETURNING id"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def pay(self, order: int, kill_at: str = "") -> int:
        """Return the exit code."""
        done = subprocess.run(
            [sys.executable, str(KILLING / "pay.py"), str(order)],
            cwd=SHOP,
            env={**self.environment, "KILL_AT": kill_at},
            start_new_session=True,
            check=False,
        )
        return done.returncode

    def paid(self) -> set[int]:
        rows = self._connection.execute("SELECT id FROM shop_order WHERE paid_at IS NOT NULL")
        return {row[0] for row in rows}

    def mailed(self) -> list[int]:
        rows = self._connection.execute("SELECT order_id FROM shop_mail ORDER BY order_id")
        return [row[0] for row in rows]


@pytest.fixture
def shop(stack: Stack, tenant: Tenant) -> Iterator[Shop]:
    project = make_project(stack, tenant)
    with psycopg.connect(project.database, autocommit=True) as connection:
        made = Shop(project, connection)
        project.manage("migrate", directory=SHOP, SHOP_DATABASE=project.database)
        yield made
    drop_project(stack, project)


def start_worker(shop: Shop, tenant: Tenant, kill_at: str = "") -> subprocess.Popen[bytes]:
    name = re.sub(r"[^a-z0-9]+", "-", f"worker-{kill_at}")
    with (tenant.directory / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "manage.py", "hatchet_worker", "--slots", "1", "--name", name],
            cwd=SHOP,
            env={**shop.environment, "KILL_AT": kill_at},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait(60)


@pytest.mark.timeout(600)
def test_a_paid_order_has_one_receipt_whatever_is_killed(shop: Shop, tenant: Tenant) -> None:
    doomed = [start_worker(shop, tenant, point) for point in POINTS_OF_RECEIPT]
    helper = None
    try:
        listening = "SELECT count(*) FROM engine_worker WHERE tenant_id = %s AND is_active"
        wait_for("the workers", lambda: tenant.rows(listening, tenant.id)[0][0] == len(doomed), 120)
        orders = [shop.order() for _ in range(LINES_OF_PAY)]
        killed = [
            shop.pay(order, f"shop/paying.py:pay:{number}")
            for number, order in enumerate(orders, 1)
        ]
        assert set(killed) == {-signal.SIGKILL}
        committed = shop.paid()
        assert committed, "it was killed after its commit, too"
        assert committed < set(orders), "and before"
        assert {shop.pay(order) for order in orders} == {0}
        assert {worker.wait(60) for worker in doomed} == {-signal.SIGKILL}
        helper = start_worker(shop, tenant)
        wait_for("the receipts", lambda: set(shop.mailed()) == set(orders), 120)
        unfinished = "SELECT count(*) FROM engine_run WHERE tenant_id = %s AND status < 2"
        wait_for("the runs", lambda: tenant.rows(unfinished, tenant.id)[0][0] == 0, 120)
        assert shop.mailed() == orders
        assert shop.paid() == set(orders)
    finally:
        for worker in [*doomed, *([] if helper is None else [helper])]:
            end(worker)
