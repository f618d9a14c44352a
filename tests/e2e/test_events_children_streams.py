"""Events, children, streams and logs with the official SDK."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("spread")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("spread")


def runs_of(client: Client, event_id: str, count: int) -> dict[str, Any]:
    """The outputs of the runs that an event started, by workflow, once all are done."""

    def all_done() -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = client.call("runs_of_event", event_id=event_id)
        done = len(runs) == count and {run["status"] for run in runs} == {"COMPLETED"}
        return runs if done else []

    return {run["workflow"]: run["output"] for run in wait_for(f"{count} runs", all_done)}


def test_an_event_starts_every_task_that_waits_for_it(client: Client) -> None:
    pushed = client.call("push", key="order:created", payload={"id": 7}, metadata={"by": "shop"})
    assert pushed["key"] == "order:created"
    outputs = runs_of(client, pushed["id"], 2)
    assert outputs["on-any-order"] == {"key": "order:created"}
    seen = outputs["on-order"]
    assert seen["input"] == {"id": 7}
    assert seen["event_id"] == pushed["id"]
    assert seen["event_key"] == "order:created"
    assert seen["by_event"] is True
    mark = {"hatchet__event_id": pushed["id"]}
    assert seen["metadata"].items() >= ({"by": "shop"} | mark).items()
    assert client.call("runs_with", metadata=mark) == ["on-any-order", "on-order"]


def test_a_wildcard_takes_what_no_exact_key_names(client: Client) -> None:
    pushed = client.call("push", key="order:cancelled", payload={}, metadata={})
    assert runs_of(client, pushed["id"], 1) == {"on-any-order": {"key": "order:cancelled"}}


def test_a_bulk_of_events_is_answered_in_order(tenant: Tenant, client: Client) -> None:
    keys = ["order:created", "nobody:listens", "order:x", "orders:x"]
    pushed = client.call("push_many", keys=keys)
    assert [key for _, key in pushed] == keys
    counts = [
        tenant.rows("SELECT count(*) FROM engine_run WHERE event_id = %s", UUID(event_id))[0][0]
        for event_id, _ in pushed
    ]
    assert counts == [2, 0, 1, 0]


def test_a_retried_parent_finds_its_children_again(tenant: Tenant, client: Client) -> None:
    result = client.call("run_parent", metadata={"customer": "7"})
    children = result["children"]
    assert [child["number"] for child in children] == [0, 1, 2, 3, 4, 5, 6, 6]
    assert sorted(tenant.marks("children")) == ["0", "1", "2", "3", "4", "5", "6"]
    assert {child["parent"] for child in children} == {result["id"]}
    assert all(child["metadata"]["customer"] == "7" for child in children)
    assert client.call("runs_of_parent", run_id=result["id"]) == 7
    assert client.call("runs_with", metadata={"customer": "7"}) == ["child"] * 7 + ["parent"]


@pytest.mark.parametrize("in_thread", [False, True])
def test_every_listener_gets_the_whole_stream_in_order(
    tenant: Tenant, client: Client, in_thread: bool
) -> None:
    other = tenant.start_client("spread")
    run_id = client.call("start_speaking", in_thread=in_thread)
    with ThreadPoolExecutor() as pool:
        heard = [pool.submit(one.call, "listen", run_id=run_id) for one in (client, other)]
        tenant.wait_for_marks(f"heard-{run_id}", 2)
        tenant.open_gate(f"speak-{run_id}")
        pieces = [future.result() for future in heard]
    whole = "".join(f"{number}:{'ä€' * (number % 5)}\n" for number in range(100))
    assert ["".join(got) for got in pieces] == [whole, whole]


def test_listening_to_a_finished_run_ends_at_once(client: Client) -> None:
    run_id = client.call("run_parent", metadata={})["id"]
    assert client.call("listen", run_id=run_id) == []


def test_log_lines_are_kept_with_their_attempt(client: Client) -> None:
    run_id = client.call("start_logging")

    def all_lines() -> list[list[Any]]:
        found: list[list[Any]] = client.call("logs", run_id=run_id)
        return found if len(found) == 42 else []

    lines = wait_for("42 log lines", all_lines)
    by_attempt = {
        attempt: [message for message, _, of in lines if of == attempt] for attempt in (1, 2)
    }
    for attempt, messages in by_attempt.items():
        expected = [f"line {number} of attempt {attempt}" for number in range(20)]
        assert sorted(messages) == sorted([*expected, '{"structured": true}'])
    assert {level for _, level, _ in lines} == {"INFO"}
