"""Conditions with the official SDK: sleeps, events, branches by a parent's output, restarts."""

from __future__ import annotations

import pytest

from engine.states import Status
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for


@pytest.fixture(scope="module", autouse=True)
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("conditional")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("conditional")


def wait_for_waits(tenant: Tenant, run_id: str, count: int) -> None:
    sql = "SELECT 1 FROM engine_stepwait WHERE run_id = %s AND satisfied_at IS NULL"
    wait_for(f"{count} waits", lambda: len(tenant.rows(sql, run_id)) == count)


def test_a_workflow_waits_branches_and_skips(tenant: Tenant, client: Client) -> None:
    client.call("push", key="branching:go", payload={"number": 9})
    run_id = client.call("start", workflow="branching", number=70)
    wait_for_waits(tenant, run_id, 4)  # all but the short sleep, which is over by then
    client.call("push", key="branching:go", payload={"number": 1})
    client.call("push", key="branching:skip", payload={})
    wait_for_waits(tenant, run_id, 2)
    assert tenant.statuses([run_id]) == {run_id: Status.RUNNING}
    client.call("push", key="branching:go", payload={"number": 3})
    result = client.call("result", run_id=run_id)
    assert result["after_sleep"]["triggers"] == {
        "sleep:1s": {"sleep_duration": "1s"},
        "filter_payload": None,
    }
    assert result["after_event"]["triggers"] == {
        "branching:go": {"number": 3},
        "filter_payload": None,
    }
    assert result["skipped_by_event"] == {"skipped": True}
    assert result["low"] == {"skipped": True}
    assert result["high"] == {"branch": "high"}
    assert result["summary"] == {"low": True, "high": False, "skipped_by_event": True}
    assert tenant.marks("skipped-by-event-ran") == []


def test_an_event_cancels_a_waiting_task_and_its_run(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", workflow="waiting")
    wait_for_waits(tenant, run_id, 2)
    client.call("push", key="waiting:stop", payload={})
    tenant.wait_for_status(run_id, Status.CANCELLED)
    assert client.call("result", run_id=run_id) == {"begin": {"begun": "yes"}}
    assert tenant.marks("never-ran") == []


def test_a_single_task_waits_from_the_start(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", workflow="gated")
    wait_for_waits(tenant, run_id, 1)
    assert tenant.statuses([run_id]) == {run_id: Status.QUEUED}
    client.call("push", key="gated:go", payload={"by": "test"})
    assert client.call("result", run_id=run_id) == {
        "gate": {"triggers": {"gated:go": {"by": "test"}, "filter_payload": None}}
    }


def test_a_restarted_worker_makes_no_new_version(tenant: Tenant, client: Client) -> None:
    sql = "SELECT v.id FROM engine_workflowversion v JOIN engine_workflow w ON w.id = workflow_id WHERE tenant_id = %s"
    before = tenant.rows(sql, tenant.id)
    tenant.start_worker("conditional")
    assert tenant.rows(sql, tenant.id) == before
