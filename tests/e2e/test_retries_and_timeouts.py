"""Failing and slow tasks with the official SDK: retries, back-off, timeouts of both kinds."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from uuid import UUID

import pytest

from engine.states import Status, TaskEventKind
from tests.e2e.tenant import CallFailed, Client, Tenant, WorkerProcess

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("failing")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("failing")


def times(tenant: Tenant, run_id: str, kind: TaskEventKind) -> list[datetime]:
    found = tenant.rows(
        "SELECT at FROM engine_taskevent WHERE run_id = %s AND kind = %s ORDER BY at",
        UUID(run_id),
        kind,
    )
    return [at for (at,) in found]


def test_a_failing_task_is_tried_again_until_it_works(client: Client) -> None:
    assert client.call("run_flaky", failures=3) == {"attempt": 4}


def test_the_last_error_remains_when_all_retries_are_used(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", task="flaky", count=4)
    with pytest.raises(CallFailed, match="failure 4"):
        client.call("result", run_id=run_id)
    counts = Counter(tenant.history(run_id))
    assert (counts["FAILED"], counts["RETRYING"]) == (4, 3)


def test_only_what_may_be_retried_is_retried(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", task="three")
    tenant.wait_for_status(run_id, Status.FAILED)
    counts = Counter(tenant.history(run_id))
    assert (counts["FAILED"], counts["RETRYING"], counts["FINISHED"]) == (3, 1, 1)


def test_retries_with_back_off_wait_longer_each_time(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", task="patient")
    assert client.call("result", run_id=run_id) == {"patient": {"attempt": 3}}
    failed = times(tenant, run_id, TaskEventKind.FAILED)
    started = times(tenant, run_id, TaskEventKind.ASSIGNED)
    waits = [
        (again - failure).total_seconds()
        for failure, again in zip(failed, started[1:], strict=True)
    ]
    assert 1.5 <= waits[0] < 2.0
    assert 2.0 <= waits[1] < 3.0


def test_a_task_that_takes_too_long_is_stopped_and_tried_again(
    tenant: Tenant, client: Client
) -> None:
    run_id = client.call("start", task="slow")
    with pytest.raises(CallFailed, match="Task exceeded timeout of 1s"):
        client.call("result", run_id=run_id)
    assert tenant.marks("slow") == ["0", "1"]
    assert sorted(tenant.wait_for_marks("slow-stopped", 2)) == ["0", "1"]
    assert Counter(tenant.history(run_id))["TIMED_OUT"] == 2


def test_a_task_may_ask_for_more_time(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", task="extended")
    assert client.call("result", run_id=run_id) == {"extended": {"finished": "late"}}
    assert "TIMEOUT_REFRESHED" in tenant.history(run_id)


def test_a_task_that_no_worker_takes_in_time_is_cancelled(tenant: Tenant, client: Client) -> None:
    client.call("register_nobodys")
    run_id = client.call("start", task="nobodys")
    tenant.wait_for_status(run_id, Status.CANCELLED)
    assert client.call("status", run_id=run_id) == "CANCELLED"
    assert "SCHEDULING_TIMED_OUT" in tenant.history(run_id)
    assert tenant.marks("nobodys") == []
