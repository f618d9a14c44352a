"""Pausing workflows with the official SDK."""

from __future__ import annotations

import time

import pytest

from engine.states import Status
from tests.e2e.tenant import Client, Tenant, WorkerProcess


@pytest.fixture(scope="module", autouse=True)
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("pausing")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("pausing")


def test_a_run_held_too_long_is_cancelled(tenant: Tenant, client: Client) -> None:
    assert client.call("pause", workflow="pausable", ttl=1) is True
    run_id = client.call("start")
    tenant.wait_for_status(run_id, Status.CANCELLED, seconds=10)
    assert client.call("unpause", workflow="pausable") is False


def test_a_held_run_completes_after_the_pause(tenant: Tenant, client: Client) -> None:
    client.call("pause", workflow="pausable", ttl=300)
    run_id = client.call("start")
    assert tenant.statuses([run_id]) == {run_id: Status.QUEUED}
    client.call("unpause", workflow="pausable")
    assert client.call("result", run_id=run_id) == {"pausable": {"ran": "yes"}}


def test_crons_of_a_paused_workflow_may_be_dropped(tenant: Tenant, client: Client) -> None:
    tenant.wait_for_marks("ticks")
    client.call("pause", workflow="ticking", ttl=300, crons="DROP")
    count = "SELECT count(*) FROM engine_run WHERE tenant_id = %s"
    paused_at = tenant.rows(count, tenant.id)
    time.sleep(2.5)  # two ticks would have come; nothing tells of runs that do not start
    assert tenant.rows(count, tenant.id) == paused_at
    ticks = len(tenant.marks("ticks"))
    client.call("unpause", workflow="ticking")
    tenant.wait_for_marks("ticks", ticks + 1)
