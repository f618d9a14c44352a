"""Durable tasks with the official SDK: they wait, spawn, remember, and are replayed from their log.

Every run that takes time is started at once, before the first test; each test looks at its own.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from engine.states import Status
from tests.e2e.oldest_sdk import each_sdk
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for

sdk = each_sdk


@pytest.fixture(scope="module", autouse=True)
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("durable")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("durable")


def start(client: Client, task: str, **given: Any) -> str:
    run_id: str = client.call("start", task=task, given=given)
    return run_id


def result(client: Client, run_id: str) -> Any:
    return client.call("result", run_id=run_id)


@pytest.fixture(scope="module")
def runs(worker: WorkerProcess, client: Client) -> dict[str, str]:
    """Runs that need no help, by name."""
    return {
        task: start(client, task, number=7, key=task)
        for task in (
            "sleeping",
            "spawning",
            "spawning_failure",
            "forgetting",
            "repeating_keys",
            "wavering",
            "three_naps",
            "stumbling",
        )
    }


def test_a_sleep_takes_as_long_as_it_says(client: Client, runs: dict[str, str]) -> None:
    found = result(client, runs["sleeping"])["sleeping"]
    assert found["found"] == 1.0
    assert found["seconds"] >= 1.0


def test_children_are_tasks_and_dags_and_come_in_the_order_asked_for(
    client: Client, runs: dict[str, str]
) -> None:
    assert result(client, runs["spawning"])["spawning"] == {
        "one": {"number": 7},
        "dag": {"first": {"first": 7}, "second": {"second": 8}},
        "many": list(range(10)),
    }


def test_a_child_that_fails_fails_its_call_with_its_own_words(
    client: Client, runs: dict[str, str]
) -> None:
    found = result(client, runs["spawning_failure"])["spawning_failure"]
    assert "no number -1" in found["error"]


def test_a_child_nobody_waits_for_does_not_stand_in_the_way(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    child = result(client, runs["forgetting"])["forgetting"]["child"]
    assert tenant.statuses([child]) == {child: Status.COMPLETED}


def test_a_key_used_before_gives_the_child_it_gave_before(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    run_id = runs["repeating_keys"]
    assert result(client, run_id)["repeating_keys"] == {"numbers": [1, 2, 1]}
    of_parent = "SELECT id FROM engine_run WHERE parent_task_id = %s ORDER BY id"
    children = tenant.rows(of_parent, run_id)
    assert len(children) == 2
    client.call("replay", run_id=run_id)
    assert result(client, run_id)["repeating_keys"] == {"numbers": [1, 2, 1]}
    assert tenant.rows(of_parent, run_id) == children


def test_an_event_ends_a_wait_if_its_expression_holds(tenant: Tenant, client: Client) -> None:
    run_id = start(client, "listening", key="durable:go")
    wait_until_it_waits(tenant, run_id)
    client.call("push", key="durable:go", payload={"number": 1})
    client.call("push", key="durable:go", payload={"number": 3})
    assert result(client, run_id)["listening"] == {"found": {"number": 3}}


def test_the_first_alternative_ends_a_wait(tenant: Tenant, client: Client) -> None:
    run_id = start(client, "either", key="either:go")
    tenant.wait_for_marks("either")
    wait_until_it_waits(tenant, run_id)
    client.call("push", key="either:go", payload={"id": "x"})
    assert result(client, run_id)["either"] == {
        "one": {"CREATE": {"sleep:1s": [{"sleep_duration": "1s"}]}},
        "two": {"CREATE": {"either:go": [{"id": "x"}]}},
    }


def test_an_event_pushed_before_counts_for_those_who_look_back_at_its_scope(
    tenant: Tenant, client: Client
) -> None:
    client.call("push", key="back:go", payload={"id": 1}, scope="mine")
    client.call("push", key="back:go", payload={"id": 2}, scope="mine")
    other = start(client, "looking_back", key="back:go", name="other")
    found = result(client, start(client, "looking_back", key="back:go", name="mine"))
    assert found["looking_back"]["found"] == {"id": 2}
    wait_until_it_waits(tenant, other)
    client.call("push", key="back:go", payload={"id": 3}, scope="mine")
    client.call("push", key="back:go", payload={"id": 4}, scope="other")
    assert result(client, other)["looking_back"]["found"] == {"id": 4}


def test_a_replay_is_answered_from_the_log(tenant: Tenant, client: Client) -> None:
    run_id = start(client, "remembering", key="all", number=5, name="replay:go")
    wait_until_it_waits(tenant, run_id, node=5)
    client.call("push", key="replay:go", payload={})
    first = result(client, run_id)["remembering"]
    client.call("replay", run_id=run_id)
    second = result(client, run_id)["remembering"]
    assert second.pop("seconds") < first.pop("seconds") >= 1.0
    assert second == first
    assert tenant.marks("tossed") == ["all"]
    assert tenant.marks("echoed").count("all 5") == 1


def test_a_replay_resumes_branches_in_the_order_they_had(tenant: Tenant, client: Client) -> None:
    run_id = start(client, "racing", key="race")
    tenant.open_gate("race-b")
    tenant.wait_for_marks("echoed-race b")
    tenant.open_gate("race-a")
    found = result(client, run_id)
    assert found["racing"] == {"found": [[1, ord("a")], [1, ord("b")]]}
    client.call("replay", run_id=run_id)
    assert result(client, run_id) == found
    assert len(tenant.rows("SELECT id FROM engine_run WHERE parent_task_id = %s", run_id)) == 4


def test_a_call_that_is_another_than_before_fails(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    run_id = runs["wavering"]
    assert result(client, run_id)["wavering"] == {"attempt": 1}
    client.call("replay", run_id=run_id)
    found = result(client, run_id)["wavering"]
    assert (found["attempt"], found["node"]) == (2, 1)
    assert "on-determinism" in found["error"]
    assert "expected: sleep(1s)" in found["error"] and "received: sleep(2s)" in found["error"]


def test_a_retry_goes_on_where_the_attempt_before_failed(
    tenant: Tenant, client: Client, runs: dict[str, str]
) -> None:
    found = result(client, runs["stumbling"])["stumbling"]
    assert found == {"numbers": [7, 8], "attempt": 2}
    assert tenant.marks("echoed").count("stumbled 7") == 1
    query = "SELECT additional_metadata ->> 'hatchet__parent_step_run_id' FROM engine_run"
    parents = tenant.rows(f"{query} WHERE parent_task_id = %s", runs["stumbling"])
    assert parents == [(runs["stumbling"],)] * 2


def test_a_task_is_run_again_from_any_node_of_any_branch(
    client: Client, runs: dict[str, str]
) -> None:
    run_id = runs["three_naps"]
    slept(client, run_id, [True, True, True])
    assert client.call("reset", run_id=run_id, node_id=2, branch_id=1) == [2, 2]
    slept(client, run_id, [False, True, True])
    assert client.call("reset", run_id=run_id, node_id=3, branch_id=2) == [3, 3]
    slept(client, run_id, [False, False, True])


def slept(client: Client, run_id: str, expected: list[bool]) -> None:
    naps = result(client, run_id)["three_naps"]["naps"]
    assert [seconds >= 0.9 for seconds in naps] == expected, naps


def test_a_sleep_goes_on_through_cancellation_and_replay(tenant: Tenant, client: Client) -> None:
    due_at = "SELECT due_at FROM engine_durablewait WHERE task_id = %s"
    run_id = start(client, "sleeping", seconds=2)
    wait_until_it_waits(tenant, run_id)
    due = tenant.rows(due_at, run_id)
    client.call("cancel", run_id=run_id)
    tenant.wait_for_status(run_id, Status.CANCELLED)
    assert tenant.rows(due_at, run_id) == due
    client.call("replay", run_id=run_id)
    found = result(client, run_id)["sleeping"]
    assert found["found"] == 2.0


def test_a_wait_of_older_clients(tenant: Tenant, client: Client, runs: dict[str, str]) -> None:
    pusher = tenant.start_client("durable")
    task_id = runs["sleeping"]
    pushing = threading.Thread(target=push_once_registered, args=(tenant, pusher, task_id))
    pushing.start()
    found = client.call("wait_the_older_way", task_id=task_id, signal_key="first")
    assert found == {"CREATE": {"sleep:1s": [{"sleep_duration": "1s"}], "older:go": [{"a": 1}]}}
    pushing.join()
    assert client.call("wait_the_older_way", task_id=task_id, signal_key="first") == found


def push_once_registered(tenant: Tenant, pusher: Client, task_id: str) -> None:
    sql = "SELECT 1 FROM engine_durableentry WHERE task_id = %s AND branch_id = 0"
    wait_for("the wait", lambda: tenant.rows(sql, task_id))
    pusher.call("push", key="older:go", payload={"a": 1})


def test_durable_steps_of_a_dag(tenant: Tenant, client: Client) -> None:
    run_id = start(client, "mixed", key="mixed:go", number=4)
    tenant.wait_for_marks("hear")
    ((task_id,),) = tenant.rows(
        "SELECT t.id FROM engine_task t JOIN engine_step s ON s.id = t.step_id"
        " WHERE t.run_id = %s AND s.readable_id = 'hear'",
        run_id,
    )
    wait_until_it_waits(tenant, str(task_id))
    client.call("push", key="mixed:go", payload={"a": 1})
    found = result(client, run_id)
    assert found["nap"] == {"slept": 1.0, "child": 4}
    assert found["gather"] == {"nap": found["nap"], "hear": {"heard": {"a": 1}}}


def wait_until_it_waits(tenant: Tenant, task_id: str, node: int = 1) -> None:
    """An event that is pushed now is not missed."""
    sql = "SELECT 1 FROM engine_durableentry WHERE task_id = %s AND node_id >= %s"
    wait_for("the wait", lambda: tenant.rows(sql, task_id, node))
