"""Running tasks with the official SDK: every way to start one, and what comes back."""

from __future__ import annotations

import pytest

from engine.states import Status
from tests.e2e.tenant import CallFailed, Client, Tenant, WorkerProcess

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("basics")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("basics")


def test_a_sync_task_returns_its_typed_output(client: Client) -> None:
    assert client.call("run_sync", value=4, comment="€") == {"value": 8, "comment": "€"}


def test_an_async_task_of_a_mixed_case_name_returns_its_output(client: Client) -> None:
    assert client.call("run_async", value=4, comment="") == {"value": 8, "comment": ""}


@pytest.mark.parametrize("call", ["run_many", "run_many_in_sync", "run_many_without_waiting"])
def test_many_results_come_in_the_order_of_the_inputs(client: Client, call: str) -> None:
    assert client.call(call, count=30) == [2 * n for n in range(30)]


def test_a_bulk_larger_than_one_message_of_the_sdk_is_complete(client: Client) -> None:
    assert client.call("run_many_without_waiting", count=1100) == [2 * n for n in range(1100)]


def test_a_run_may_be_started_now_and_awaited_later(client: Client) -> None:
    assert client.call("run_without_waiting")["result"]["value"] == 42


def test_a_result_is_given_to_whoever_asks_whenever(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start_waiting")
    tenant.wait_for_marks("arrived")
    tenant.open_gate("basics")
    for _ in range(2):
        assert client.call("result_of", run_id=run_id) == {"passed": "yes"}
    tenant.wait_for_status(run_id, Status.COMPLETED)
    assert client.call("result_over_rest", run_id=run_id) == {"passed": "yes"}


def test_a_task_may_return_nothing(client: Client) -> None:
    assert client.call("run_nothing") in (None, {})


def test_the_context_tells_what_the_run_was_started_with(
    client: Client, worker: WorkerProcess
) -> None:
    given = {"whole": 1, "fraction": 1.5, "text": 'ä"\\', "deep": {"list": [1, None, True]}}
    seen = client.call(
        "run_described", given=given, metadata={"customer": "7", "n": 2**64 + 1}, priority=3
    )
    assert seen["input"] == given
    assert seen["metadata"].items() >= {"customer": "7", "n": 2**64 + 1}.items()
    assert seen["run_id"] == seen["task_id"]
    assert seen["priority"] == 3
    assert (seen["attempt"], seen["max_attempts"]) == (1, 1)
    assert seen["worker"] == str(worker.id)


def test_input_that_the_model_refuses_never_leaves_the_client(client: Client) -> None:
    with pytest.raises(CallFailed) as failed:
        client.call("run_sync", value=-1)
    assert failed.value.kind == "ValidationError"


def test_an_error_comes_back_word_for_word(tenant: Tenant, client: Client) -> None:
    with pytest.raises(CallFailed) as failed:
        client.call("run_failing")
    assert "ValueError: the last line" in failed.value.text
    assert "is kept: äöü €" in failed.value.text


def test_failures_of_a_bulk_are_given_one_by_one(client: Client) -> None:
    failures = client.call("run_some_that_fail")
    assert len(failures) == 2
    assert all("is kept" in failure for failure in failures)


def test_the_event_log_tells_the_story_of_a_run_in_order(tenant: Tenant, client: Client) -> None:
    run_id = client.call("run_without_waiting")["id"]
    assert tenant.statuses([run_id]) == {run_id: Status.COMPLETED}
    story = tenant.history(run_id)
    assert [kind for kind in story if kind in {"QUEUED", "ASSIGNED", "FINISHED"}] == [
        "QUEUED",
        "ASSIGNED",
        "FINISHED",
    ]
    assert "STARTED" in story
