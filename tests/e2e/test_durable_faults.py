"""Durable tasks outlive engines and workers: what was called before is not called again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.e2e.tenant import Client, Tenant, wait_for
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


def test_waiting_tasks_outlive_engines(own_stack: Stack, own_tenant: Tenant) -> None:
    engine = own_stack.start_engine()
    own_tenant.start_worker("durable")
    client = own_tenant.start_client("durable")
    for round_name in ("killed", "stopped"):
        runs = begin(own_tenant, client, round_name)
        if round_name == "killed":
            engine.kill()
        else:
            assert engine.stop() == 0, engine.output
        engine = own_stack.start_engine()
        wait_until_heard(own_tenant)
        finish(own_tenant, client, runs, round_name)
        assert attempts(own_tenant, list(runs.values())) == {(0, 1)}


def test_waiting_tasks_outlive_their_worker(own_stack: Stack, own_tenant: Tenant) -> None:
    own_stack.start_engine()
    worker = own_tenant.start_worker("durable")
    client = own_tenant.start_client("durable")
    runs = begin(own_tenant, client, "lost")
    own_tenant.lose(worker)
    own_tenant.start_worker("durable")
    finish(own_tenant, client, runs, "lost")
    assert attempts(own_tenant, list(runs.values())) == {(1, 2)}


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
