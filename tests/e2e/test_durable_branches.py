"""Branches of a durable task that run side by side go on where they were, whatever order they come in."""

from __future__ import annotations

import pytest

from tests.e2e.oldest_sdk import each_sdk
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for
from tests.e2e.test_durable import result, start

sdk = each_sdk

KINDS = ("left", "kept", "late")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("durable_branches")


@pytest.fixture(scope="module", autouse=True)
def worker(tenant: Tenant, client: Client) -> WorkerProcess:
    return tenant.start_worker("durable_branches")


def wait_until_evicted(tenant: Tenant, run_id: str, events: int) -> None:
    """The task gave its slot up, and waits for so many events."""
    sql = (
        "SELECT 1 FROM engine_task t WHERE t.id = %s AND t.is_evicted AND t.status = 1 AND %s ="
        " (SELECT count(*) FROM engine_durablewait w WHERE w.task_id = t.id AND w.is_event)"
    )
    wait_for("the eviction", lambda: tenant.rows(sql, run_id, events))


def test_branches_with_several_calls_are_evicted_and_go_on(tenant: Tenant, client: Client) -> None:
    run_id = start(client, "weaving", key="w")
    wait_until_evicted(tenant, run_id, 3)
    for name in "cab":
        client.call("push", key=f"w-{name}", payload={})
    wait_until_evicted(tenant, run_id, 3)
    for number, name in enumerate("bca"):
        client.call("push", key=f"w-{name}-again", payload={"number": number})
    expected = {
        "threads": [[f"w-{name}-one", 7, 1.0, f"w-{name}-two", "bca".index(name)] for name in "abc"]
    }
    assert result(client, run_id)["weaving"] == expected
    assert_all_was_done_once(tenant)
    client.call("replay", run_id=run_id)
    assert result(client, run_id)["weaving"] == expected
    assert_all_was_done_once(tenant)
    (retries,) = tenant.rows("SELECT retry_count FROM engine_task WHERE id = %s", run_id)
    assert retries == (1,)


def assert_all_was_done_once(tenant: Tenant) -> None:
    found = [f"w-{name}-{which}" for name in "abc" for which in ("one", "two")]
    assert sorted(tenant.marks("found out")) == found
    children = [f"w-{name}-{kind}" for name in "abc" for kind in KINDS]
    wait_for("the children", lambda: all(tenant.marks(f"echoed-{name}") for name in children))
    assert {len(tenant.marks(f"echoed-{name}")) for name in children} == {1}
