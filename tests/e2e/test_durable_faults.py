"""Tasks outlive engines and workers; what durable ones called before is not called again.

A worker counts as lost after half a minute of silence. Two are killed first, and looked at last.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for
from tests.e2e.test_durable import result, start, wait_until_it_waits

pytestmark = pytest.mark.chaos


def attempts(tenant: Tenant, run_ids: list[str]) -> set[tuple[int, int]]:
    """(retry count, invocation) of each of these standalone tasks."""
    return {
        row
        for run_id in run_ids
        for row in tenant.rows(
            "SELECT t.retry_count, d.invocation_count FROM engine_task t"
            " JOIN engine_durabletask d ON d.task_id = t.id WHERE t.id = %s",
            run_id,
        )
    }


def begin(tenant: Tenant, client: Client, round_name: str) -> dict[str, str]:
    """Start tasks of every kind and wait until each of them waits."""
    runs = {
        "sleeping": start(client, "sleeping", seconds=6),
        "listening": start(client, "listening", key=round_name),
        "racing": start(client, "racing", key=round_name),
        "remembering": start(client, "remembering", key=round_name, name=f"{round_name}:go"),
    }
    for name, node in (("sleeping", 1), ("listening", 1), ("racing", 2), ("remembering", 5)):
        wait_until_it_waits(tenant, runs[name], node)
    return runs


def finish(tenant: Tenant, client: Client, runs: dict[str, str], round_name: str) -> None:
    client.call("push", key=round_name, payload={"number": 3})
    client.call("push", key=f"{round_name}:go", payload={})
    tenant.open_gate(f"{round_name}-a")
    tenant.open_gate(f"{round_name}-b")
    found: dict[str, Any] = {name: result(client, run_id)[name] for name, run_id in runs.items()}
    assert found["sleeping"]["found"] == 6.0
    assert found["listening"] == {"found": {"number": 3}}
    assert found["racing"] == {"found": [[1, ord("a")], [1, ord("b")]]}
    assert tenant.marks("tossed").count(round_name) == 1
    assert len(tenant.marks(f"echoed-{round_name} a")) == 1


def wait_until_heard(tenant: Tenant) -> None:
    """The worker is back. What tasks report before that, its SDK may lose."""
    (now,) = tenant.rows("SELECT now()")
    sql = (
        "SELECT 1 FROM engine_worker WHERE tenant_id = %s AND is_active AND last_heartbeat_at > %s"
    )
    wait_for("the worker", lambda: tenant.rows(sql, tenant.id, *now))


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("durable")


@pytest.fixture(scope="module")
def scheduling(tenant: Tenant) -> Client:
    return tenant.start_client("scheduling")


@pytest.fixture(scope="module", autouse=True)
def killed(tenant: Tenant, scheduling: Client) -> tuple[WorkerProcess, str]:
    """A worker that was killed in the middle of a task, and the run."""
    doomed = tenant.start_worker("scheduling")
    (run_id,) = scheduling.call("start_occupying", gate="killed", count=1)
    assert tenant.wait_for_marks("killed") == [f"in {doomed.id}"]
    doomed.service.kill()
    return doomed, run_id


@pytest.fixture(scope="module", autouse=True)
def waiting(tenant: Tenant, client: Client) -> dict[str, str]:
    """Durable tasks that waited on a worker when it was killed."""
    worker = tenant.start_worker("durable")
    runs = begin(tenant, client, "lost")
    worker.service.kill()
    return runs


def test_waiting_tasks_outlive_engines(own_stack: Stack, own_tenant: Tenant) -> None:
    engine = own_stack.start_engine()
    own_tenant.start_worker("durable")
    client = own_tenant.start_client("durable")
    for round_name in ("killed", "stopped"):
        runs = begin(own_tenant, client, round_name)
        # It takes the same way: after its answer the worker has those to all calls before it.
        result(client, start(client, "sleeping", seconds=0))
        if round_name == "killed":
            engine.kill()
        else:
            assert engine.stop() == 0, engine.output
        engine = own_stack.start_engine()
        wait_until_heard(own_tenant)
        finish(own_tenant, client, runs, round_name)
        assert attempts(own_tenant, list(runs.values())) == {(0, 1)}


def test_engines_share_the_streams_of_workers(own_stack: Stack, own_tenant: Tenant) -> None:
    """Calls, events, ends of children and evictions meet at whichever engine took them."""
    own_stack.start_engine("--processes", "2")
    for _ in range(2):
        own_tenant.start_worker("durable")
    client = own_tenant.start_client("durable")
    runs = begin(own_tenant, client, "shared")
    spawning = [start(client, "spawning", number=number) for number in range(5)]
    sleeping = [start(client, "evicted_sleep", key="shared", seconds=4) for _ in range(5)]
    waiting = [start(client, "evicted_waiter", key=f"wake:{number}") for number in range(5)]
    for task_id in waiting:
        wait_until_evicted(own_tenant, task_id)
    for number in range(5):
        client.call("push", key=f"wake:{number}", payload={"number": number})
    finish(own_tenant, client, runs, "shared")
    for number, run_id in enumerate(spawning):
        assert result(client, run_id)["spawning"]["one"] == {"number": number}
    for run_id in sleeping:
        assert result(client, run_id)["evicted_sleep"]["attempt"] == 1
    for number, run_id in enumerate(waiting):
        found = result(client, run_id)["evicted_waiter"]
        assert found == {"invocation": 2, "found": {"number": number}}


def wait_until_evicted(tenant: Tenant, task_id: str) -> None:
    sql = "SELECT 1 FROM engine_task WHERE id = %s AND is_evicted"
    wait_for("the eviction", lambda: tenant.rows(sql, task_id))


def test_a_task_of_a_killed_worker_runs_elsewhere(
    tenant: Tenant, scheduling: Client, killed: tuple[WorkerProcess, str]
) -> None:
    doomed, run_id = killed
    successor = tenant.start_worker("scheduling")
    arrivals = tenant.wait_for_marks("killed", 2)
    assert arrivals == [f"in {doomed.id}", f"in {successor.id}"]
    tenant.open_gate("killed")
    assert scheduling.call("result", run_id=run_id)["occupy"] == {"worker": str(successor.id)}
    story = tenant.task_history(run_id)
    assert "REASSIGNED 0" in story
    assert story[-1] == "FINISHED 1"


def test_waiting_tasks_outlive_their_worker(
    tenant: Tenant, client: Client, waiting: dict[str, str]
) -> None:
    tenant.start_worker("durable")
    finish(tenant, client, waiting, "lost")
    assert attempts(tenant, list(waiting.values())) == {(1, 2)}
