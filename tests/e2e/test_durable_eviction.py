"""Durable tasks that give up their workers while they wait, with the official SDK.

Its workers look once a second which tasks to evict: those that take longest are started first.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from engine.states import Status
from tests.e2e.oldest_sdk import each_sdk
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for
from tests.e2e.test_durable import result, start, wait_until_it_waits

sdk = each_sdk


@pytest.fixture(scope="module", autouse=True)
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("durable")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("durable")


@pytest.fixture(scope="module")
def runs(tenant: Tenant, worker: WorkerProcess, client: Client) -> dict[str, str]:
    """Runs that are evicted soon, by name."""
    tenant.start_worker("durable", {"E2E_TASK": "crowded", "E2E_SLOTS": "1"})
    return {
        "crowded": start(client, "crowded", seconds=14),
        "sleeper": start(client, "evicted_sleep", key="sleeper", seconds=6),
        "restored": start(client, "evicted_sleep", key="restored", seconds=7),
        "replayed": start(client, "evicted_sleep", key="replayed", seconds=7),
        "cancelled": start(client, "evicted_sleep", key="cancelled", seconds=60),
        "waiter": start(client, "evicted_waiter", key="wake:up"),
        "parent": start(client, "evicted_parent", key="parent"),
    }


def wait_until_evicted(client: Client, run_id: str) -> None:
    def is_evicted() -> bool:
        found = client.call("details", run_id=run_id)
        assert found["status"] == "RUNNING" and not found["done"], found
        return all(task[1] for task in found["tasks"].values())

    wait_for(f"run {run_id} to be evicted", is_evicted, 30.0)


def evictions(tenant: Tenant, run_id: str) -> list[str]:
    durable = {"DURABLE_EVICTED", "DURABLE_RESTORING", "ASSIGNED", "STARTED", "RETRYING"}
    return [kind for kind in tenant.history(run_id) if kind in durable]


def test_a_task_that_waits_too_long_is_evicted_and_frees_its_slot(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    wait_until_evicted(client, runs["sleeper"])
    ((worker_id, due_at),) = tenant.rows(
        "SELECT worker_id, due_at FROM engine_task WHERE id = %s", runs["sleeper"]
    )
    assert worker_id is None and due_at is None


def test_restoring_twice_runs_once(tenant: Tenant, client: Client, runs: dict[str, str]) -> None:
    run_id = runs["restored"]
    wait_until_evicted(client, run_id)
    assert client.call("restore", task_id=run_id) and client.call("restore", task_id=run_id)
    wait_for("the second delivery", lambda: "restored 2" in tenant.marks("evicted_sleep"))
    assert client.call("details", run_id=run_id)["status"] == "RUNNING"
    assert evictions(tenant, run_id).count("DURABLE_RESTORING") == 1


def test_a_replay_of_an_evicted_task_changes_nothing(client: Client, runs: dict[str, str]) -> None:
    wait_until_evicted(client, runs["replayed"])
    client.call("replay", run_id=runs["replayed"])
    found = result(client, runs["replayed"])["evicted_sleep"]
    assert found["attempt"] == 1


def test_an_evicted_task_is_cancelled_at_once(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    wait_until_evicted(client, runs["cancelled"])
    client.call("cancel", run_id=runs["cancelled"])
    tenant.wait_for_status(runs["cancelled"], Status.CANCELLED)


def test_an_event_wakes_an_evicted_task(client: Client, runs: dict[str, str]) -> None:
    wait_until_evicted(client, runs["waiter"])
    client.call("push", key="wake:up", payload={"a": 1})
    found = result(client, runs["waiter"])["evicted_waiter"]
    assert found == {"invocation": 2, "found": {"a": 1}}


def test_children_wake_an_evicted_task_one_by_one(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    for number in range(3):
        wait_until_evicted(client, runs["parent"])
        tenant.open_gate(f"parent-{number}")
        wait_for_invocation(tenant, runs["parent"], number + 2)
    found = result(client, runs["parent"])["evicted_parent"]
    assert found["many"] == [0, 1, 2]
    # A worker which gives the task up right after it was told of a child gets it back once more.
    assert 4 <= found["invocation"] <= 8


def wait_for_invocation(tenant: Tenant, task_id: str, count: int) -> None:
    sql = "SELECT 1 FROM engine_durabletask WHERE task_id = %s AND invocation_count >= %s"
    wait_for(f"delivery {count}", lambda: tenant.rows(sql, task_id, count))


def test_what_comes_after_a_sleep_is_done_once_however_it_crosses_with_an_eviction(
    tenant: Tenant, client: Client
) -> None:
    """Its worker gives a task up after a second, and so long it sleeps."""
    keys = [f"crossing-{number}" for number in range(40)]
    for run_id in [start(client, "evicted_sleep", key=key, seconds=1) for key in keys]:
        assert result(client, run_id)["evicted_sleep"]["attempt"] == 1
    done = Counter(key for key in tenant.marks("slept") if key in keys)
    assert done == Counter(keys)


def test_a_sleep_that_is_over_wakes_an_evicted_task(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    found = result(client, runs["sleeper"])["evicted_sleep"]
    assert found == {"invocation": 2, "attempt": 1}
    assert evictions(tenant, runs["sleeper"]) == [
        "ASSIGNED",
        "STARTED",
        "DURABLE_EVICTED",
        "DURABLE_RESTORING",
        "ASSIGNED",
        "STARTED",
    ]


def test_a_restored_task_sleeps_on_and_is_evicted_again(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    found = result(client, runs["restored"])["evicted_sleep"]
    assert found == {"invocation": 3, "attempt": 1}
    assert tenant.history(runs["restored"]).count("FINISHED") == 1


def test_a_worker_that_is_told_to_stop_gives_its_waiting_tasks_up(
    tenant: Tenant, client: Client
) -> None:
    leaving = tenant.start_worker("durable", {"E2E_TASK": "leaving"})
    run_id = start(client, "leaving", key="leave:go")
    tenant.wait_for_marks("leaving")
    wait_until_it_waits(tenant, run_id)
    leaving.service.stop()
    wait_until_evicted(client, run_id)
    client.call("push", key="leave:go", payload={"a": 1})
    tenant.start_worker("durable", {"E2E_TASK": "leaving"})
    assert result(client, run_id)["leaving"] == {"invocation": 2, "found": {"a": 1}}
    assert "RETRYING" not in tenant.history(run_id)


def test_a_worker_full_of_waiting_tasks_makes_room(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    other = start(client, "crowded", key="other", seconds=1)
    assert result(client, other)["crowded"]["invocation"] == 1
    found: dict[str, Any] = result(client, runs["crowded"])["crowded"]
    assert found["invocation"] == 2
    assert "DURABLE_EVICTED" in evictions(tenant, runs["crowded"])
