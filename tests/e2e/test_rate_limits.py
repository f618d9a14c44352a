"""Rate limits with the official SDK."""

from __future__ import annotations

import pytest

from engine.states import Status, TaskEventKind
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("limits")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("limits")


def refused(tenant: Tenant, run_id: str) -> list[str]:
    """What the task's events say of its waiting."""
    sql = "SELECT message FROM engine_taskevent WHERE run_id = %s AND kind = %s"
    kind = int(TaskEventKind.REQUEUED_RATE_LIMIT)
    return [message for (message,) in tenant.rows(sql, run_id, kind)]


def wait_for_refusal(tenant: Tenant, run_id: str) -> str:
    wait_for("the task to be refused", lambda: refused(tenant, run_id))
    (message,) = refused(tenant, run_id)
    return message


def split(tenant: Tenant, runs: list[str], done: int) -> list[str]:
    """Wait until so many of the runs completed; return the others, which wait."""

    def waiting() -> list[str]:
        statuses = tenant.statuses(runs)
        return [run_id for run_id in runs if statuses[run_id] is Status.QUEUED]

    wait_for("those within the limit", lambda: len(waiting()) == len(runs) - done)
    for run_id in set(runs) - set(waiting()):
        tenant.wait_for_status(run_id, Status.COMPLETED)
    return waiting()


def test_a_static_limit_spreads_runs_over_its_windows(client: Client) -> None:
    client.call("put", key="steady", limit=2, window="SECOND")
    times = sorted(result["at"] for result in client.call("results", workflow="steady", count=6))
    assert times[-1] - times[0] > 1.0, "six runs need at least three windows of a second"


def test_every_user_has_the_units_the_task_brings_along(tenant: Tenant, client: Client) -> None:
    ada = client.call("start", workflow="per-user", count=2, user="ada", units=2)
    (bob,) = client.call("start", workflow="per-user", user="bob", units=3)
    (waiting,) = split(tenant, ada, 1)
    tenant.wait_for_status(bob, Status.COMPLETED)
    assert (
        wait_for_refusal(tenant, waiting)
        == 'Rate limit "user:ada": 2 wanted, 1 of 3 left in this hour.'
    )
    assert client.call("listed", search="user:") == [
        ["user:ada", 1, 3, "HOUR"],
        ["user:bob", 0, 3, "HOUR"],
    ]


def test_a_pause_holds_runs_back_and_is_never_made_shorter(tenant: Tenant, client: Client) -> None:
    client.call("put", key="paused", limit=9)
    until = client.call("pause", key="paused", length=5)
    assert client.call("pause", key="paused", length=1) == until
    (result,) = client.call("results", workflow="paused", count=1)
    assert result["at"] >= until


def test_a_limit_nobody_has_set_is_in_the_tasks_events(tenant: Tenant, client: Client) -> None:
    (run_id,) = client.call("start", workflow="missing")
    assert wait_for_refusal(tenant, run_id) == 'Rate limit "missing" has not been set.'
    client.call("put", key="missing", limit=1)
    tenant.wait_for_status(run_id, Status.COMPLETED)
    assert len(refused(tenant, run_id)) == 1


def test_every_retry_takes_units(tenant: Tenant, client: Client) -> None:
    client.call("put", key="retried", limit=2)
    (run_id,) = client.call("start", workflow="retried")
    assert (
        wait_for_refusal(tenant, run_id)
        == 'Rate limit "retried": 1 wanted, 0 of 2 left in this hour.'
    )
    assert tenant.history(run_id).count("ASSIGNED") == 2


def test_of_two_limits_both_or_none_are_taken(tenant: Tenant, client: Client) -> None:
    client.call("put", key="wide", limit=10)
    client.call("put", key="narrow", limit=5)
    runs = client.call("start", workflow="both", count=4)
    waiting = split(tenant, runs, 2)
    assert len(waiting) == 2
    assert [row[1] for row in client.call("listed", search="wide")] == [8]
    assert [row[1] for row in client.call("listed", search="narrow")] == [1]
