"""Cancelling and replaying with the official SDK: from outside, from inside, one by one and in bulk."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from engine.states import Status
from tests.e2e.tenant import CallFailed, Client, Tenant, WorkerProcess, wait_for

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("control")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("control")


def wait_until_all(tenant: Tenant, run_ids: Sequence[str], status: Status) -> None:
    wait_for(
        f"{len(run_ids)} runs to be {status.name}",
        lambda: set(tenant.statuses(run_ids).values()) == {status},
    )


def test_a_running_task_is_interrupted(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", task="hold")
    tenant.wait_for_marks("holding")
    client.call("cancel", run_id=run_id)
    assert tenant.wait_for_marks("interrupted") == [run_id]
    assert client.call("details", run_id=run_id) == {
        "status": "CANCELLED",
        "tasks": {"hold": ["CANCELLED", None]},
    }
    # Being cancelled is not an error: there is no result, and nothing is raised.
    assert not client.call("result", run_id=run_id)


def test_what_a_cancelled_task_returns_later_is_not_kept(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", task="hold-in-thread")
    tenant.wait_for_marks("thread-holding")
    client.call("cancel", run_id=run_id)
    assert tenant.wait_for_marks("thread-noticed") == [run_id]
    # Whatever the worker said about it was said before this run's result.
    tenant.open_gate("switch")
    client.call("result", run_id=client.call("start", task="switch"))
    assert tenant.statuses([run_id]) == {run_id: Status.CANCELLED}
    assert "FINISHED" not in tenant.history(run_id)


def test_a_task_may_cancel_itself_and_is_not_tried_again(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", task="give-up")
    tenant.wait_for_status(run_id, Status.CANCELLED)
    assert len(tenant.marks("giving-up")) == 1
    assert "RETRYING" not in tenant.history(run_id)


def test_cancelling_a_workflow_ends_its_tasks_without_on_failure(
    tenant: Tenant, client: Client
) -> None:
    run_id = client.call("start", task="chain")
    tenant.wait_for_marks("link")
    client.call("cancel", run_id=run_id)
    tenant.wait_for_status(run_id, Status.CANCELLED)
    tasks = client.call("details", run_id=run_id)["tasks"]
    assert {tasks["link"][0], tasks["next_link"][0]} == {"CANCELLED"}
    assert tenant.marks("next-link") == []
    assert tenant.marks("chain-failed") == []


def test_cancelling_what_is_finished_changes_nothing(tenant: Tenant, client: Client) -> None:
    tenant.open_gate("switch")
    run_id = client.call("start", task="switch")
    client.call("result", run_id=run_id)
    client.call("cancel", run_id=run_id)
    assert tenant.statuses([run_id]) == {run_id: Status.COMPLETED}


def test_a_replayed_run_gives_its_new_result(tenant: Tenant, client: Client) -> None:
    (tenant.directory / "switch.gate").unlink(missing_ok=True)
    run_id = client.call("start", task="switch")
    with pytest.raises(CallFailed, match="switched off"):
        client.call("result", run_id=run_id)
    tenant.open_gate("switch")
    client.call("replay", run_id=run_id)
    assert client.call("result", run_id=run_id) == {"switch": {"attempt": 2}}
    story = tenant.history(run_id)
    assert story.index("FAILED") < story.index("RETRIED_BY_USER") < story.index("FINISHED")


def test_bulk_by_filter_reaches_all_that_match_and_nothing_else(
    tenant: Tenant, client: Client
) -> None:
    (tenant.directory / "switch.gate").unlink(missing_ok=True)
    ours = client.call("start_many", count=40, metadata={"group": "ours"})
    others = client.call("start_many", count=3, metadata={"group": "others"})
    wait_until_all(tenant, [*ours, *others], Status.FAILED)
    tenant.open_gate("switch")
    client.call("replay_by_filter", metadata={"group": "ours"}, statuses=["FAILED"])
    wait_until_all(tenant, ours, Status.COMPLETED)
    assert set(client.call("attempts", run_ids=ours)) == {2}
    assert set(tenant.statuses(others).values()) == {Status.FAILED}
    client.call("replay_by_ids", run_ids=others)
    wait_until_all(tenant, others, Status.COMPLETED)


@pytest.mark.parametrize("how", ["cancel_by_ids", "cancel_by_filter"])
def test_bulk_cancel_ends_running_tasks(tenant: Tenant, client: Client, how: str) -> None:
    before = len(tenant.marks("holding"))
    runs = [client.call("start", task="hold", metadata={"how": how}) for _ in range(5)]
    tenant.wait_for_marks("holding", before + 5)
    if how == "cancel_by_ids":
        client.call(how, run_ids=runs)
    else:
        client.call(how, metadata={"how": how}, statuses=["RUNNING"])
    wait_until_all(tenant, runs, Status.CANCELLED)
    wait_for("interruptions", lambda: set(runs) <= set(tenant.marks("interrupted")))
