"""Patterns of durable tasks with the official SDK: who their children are, waits in a row, no waits.

Every run that takes time is started at once, before the first test; each test looks at its own.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.states import Status
from tests.e2e.oldest_sdk import each_sdk
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for
from tests.e2e.test_durable import result, start, wait_until_it_waits

sdk = each_sdk


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("durable_patterns")


@pytest.fixture(scope="module", autouse=True)
def worker(tenant: Tenant, client: Client) -> WorkerProcess:
    """The client before it starts at the same time."""
    return tenant.start_worker("durable_patterns")


@pytest.fixture(scope="module", autouse=True)
def runs(worker: WorkerProcess, client: Client) -> dict[str, str]:
    """Runs that need no help, or are evicted soon, by name."""
    return {
        "hopping": start(client, "hopping", key="hop"),
        "staying": start(client, "staying", key="stay:go"),
        "pondering": start(client, "pondering", key="once"),
        "foresting": start(client, "foresting", number=20),
        "sowing": start(client, "sowing"),
        "tending": start(client, "tending"),
    }


def completed_children(client: Client, task_id: str, count: int) -> list[str]:
    """The ids of the runs listed under a task, once there are so many and all are COMPLETED."""

    def all_done() -> list[list[str]]:
        found: list[list[str]] = client.call("children_of", task_id=task_id)
        done = {status for _, status in found} == {"COMPLETED"}
        return found if done and len(found) == count else []

    return [run_id for run_id, _ in wait_for(f"{count} children of {task_id}", all_done)]


# Children of durable tasks


def test_another_workflow_at_the_place_of_a_child_fails_loudly(client: Client) -> None:
    run_id = start(client, "colliding", name="other")
    found = result(client, run_id)["colliding"]
    assert found["numbers"] == [1, 2]
    assert found["node"] == 1
    assert "on-determinism" in found["error"]
    completed_children(client, run_id, 2)


def test_the_same_call_at_the_place_of_a_child_gives_what_it_gave(client: Client) -> None:
    run_id = start(client, "colliding", name="same")
    found = result(client, run_id)["colliding"]
    assert found == {"numbers": [1, 2], "found": {"number": 1}}
    completed_children(client, run_id, 2)


@pytest.mark.parametrize("way", ["bulk", "gather"])
@pytest.mark.parametrize(
    ("keys", "numbers"), [("aaa", [0, 0, 0]), ("aba", [0, 1, 0]), ("aab", [0, 0, 2])]
)
def test_each_key_has_one_child(client: Client, way: str, keys: str, numbers: list[int]) -> None:
    run_id = start(client, "keyed", key=way, name=keys)
    assert result(client, run_id)["keyed"] == {"numbers": numbers}
    completed_children(client, run_id, len(set(keys)))


def test_many_dags_give_all_their_outputs_again_and_again(
    client: Client, runs: dict[str, str]
) -> None:
    run_id = runs["foresting"]
    expected = [{"first": {"first": n}, "second": {"second": n + 1}} for n in range(20)]
    assert result(client, run_id)["foresting"] == {"dags": expected}
    children = completed_children(client, run_id, 20)
    client.call("replay", run_id=run_id)
    assert result(client, run_id)["foresting"] == {"dags": expected}
    assert completed_children(client, run_id, 20) == children


# Children of steps


def assert_children_stay_with_their_steps(
    client: Client, found: dict[str, Any], counts: dict[str, int]
) -> None:
    """Each step ran itself, and has the children that it started and no others."""
    assert {name: len(output["children"]) for name, output in found.items()} == counts
    assert len({output["task"] for output in found.values()}) == len(counts)
    for output in found.values():
        listed = completed_children(client, output["task"], len(output["children"]))
        assert listed == sorted(output["children"])


def test_children_of_steps_do_not_take_the_places_of_steps(
    client: Client, runs: dict[str, str]
) -> None:
    found = result(client, runs["sowing"])
    assert_children_stay_with_their_steps(
        client, found, {"sow_all": 3, "sow_dag": 1, "sow_task": 1}
    )


def test_children_of_durable_steps_and_others_stay_apart(
    client: Client, runs: dict[str, str]
) -> None:
    found = result(client, runs["tending"])
    assert_children_stay_with_their_steps(
        client, found, {"tend_dag": 3, "tend_task": 1, "tend_both": 2}
    )
    steps = client.call("details", run_id=runs["tending"])["tasks"]
    assert steps == {name: ["COMPLETED", False] for name in found}


# Waits and memories


def test_what_is_remembered_takes_no_time_in_a_replay(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    first = result(client, runs["pondering"])["pondering"]
    client.call("replay", run_id=runs["pondering"])
    second = result(client, runs["pondering"])["pondering"]
    assert second["found"] == first["found"]
    assert second["seconds"] < first["seconds"] >= 1.0
    assert tenant.marks("pondered") == ["once"]


def test_a_wait_finds_what_was_pushed_during_the_wait_before_it(
    tenant: Tenant, client: Client
) -> None:
    run_id = start(client, "two_waits", key="turned")
    wait_until_it_waits(tenant, run_id, node=2)
    client.call("push", key="turned:two", payload={"id": 2}, scope="turned")
    client.call("push", key="turned:one", payload={"id": 1}, scope="turned")
    assert result(client, run_id)["two_waits"] == {"one": {"id": 1}, "two": {"id": 2}}


def test_what_one_wait_finds_in_the_past_ends_no_other_wait(tenant: Tenant, client: Client) -> None:
    given = {"key": "past:go", "name": "same"}
    client.call("push", key="past:go", payload={"id": 1}, scope="same")
    near = start(client, "looking_back_so_far", number=1, **given)
    wait_until_it_waits(tenant, near, node=2)
    far = start(client, "looking_back_so_far", number=60_000, **given)
    assert result(client, far)["looking_back_so_far"] == {"found": {"id": 1}}
    assert tenant.statuses([near]) == {near: Status.RUNNING}
    client.call("push", key="past:go", payload={"id": 2}, scope="same")
    assert result(client, near)["looking_back_so_far"] == {"found": {"id": 2}}


def wait_for_evictions(tenant: Tenant, run_id: str, count: int) -> None:
    def happened() -> bool:
        return tenant.history(run_id).count("DURABLE_EVICTED") == count

    wait_for(f"eviction {count}", happened)


def test_a_task_is_evicted_in_each_of_its_waits(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    for number, name in enumerate(("one", "two"), start=1):
        wait_for_evictions(tenant, runs["hopping"], number)
        client.call("push", key=f"hop:{name}", payload={"id": number})
    found = result(client, runs["hopping"])["hopping"]
    assert found == {"invocation": 3, "found": [{"id": 1}, {"id": 2}]}


def test_a_task_without_a_policy_is_never_evicted(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    """It waits on the same worker while that evicts others twice."""
    wait_for(
        "the end of a task evicted twice",
        lambda: tenant.statuses([runs["hopping"]])[runs["hopping"]] is Status.COMPLETED,
    )
    client.call("push", key="stay:go", payload={"id": 1})
    found = result(client, runs["staying"])["staying"]
    assert found == {"invocation": 1, "found": {"id": 1}}
    assert "DURABLE_EVICTED" not in tenant.history(runs["staying"])


# No waits


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_durable_task_need_not_wait(client: Client, way: str) -> None:
    found = client.call(f"run_in_every_{way}_way")
    assert found == [{"number": n, "tripled": 3 * n} for n in (1, 2, 3, 3)]
