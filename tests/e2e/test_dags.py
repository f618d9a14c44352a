"""Workflows of several tasks with the official SDK: outputs, failures, details, replay of a part."""

from __future__ import annotations

import pytest

from engine.states import Status
from tests.e2e.tenant import CallFailed, Client, Tenant, WorkerProcess, wait_for

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("dags")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("dags")


def test_a_task_reads_the_outputs_of_all_its_ancestors(client: Client) -> None:
    assert client.call("run_fan", prices=[5, 1, 9]) == {
        "cheap": {"cents": 1},
        "dear": {"cents": 9},
        "both": {"cents": 10},
        "last": {"both": 10, "cheap": 1},
    }


def test_details_of_a_running_workflow_grow_as_its_tasks_come_into_being(
    tenant: Tenant, client: Client
) -> None:
    run_id = client.call("start", workflow="wide")
    tenant.wait_for_marks("held")

    def all_but_held_settled() -> bool:
        tasks = client.call("details", run_id=run_id)["tasks"]
        early = [task["status"] for name, task in tasks.items() if name != "held"]
        return "RUNNING" not in early and "QUEUED" not in early

    wait_for("the other tasks", all_but_held_settled)
    early = client.call("details", run_id=run_id)
    assert (early["status"], early["done"]) == ("RUNNING", False)
    assert early["tasks"]["held"]["status"] == "RUNNING"
    assert early["tasks"]["quick"]["output"] == {"is": "quick"}
    assert "after_held" not in early["tasks"]

    tenant.open_gate("held")
    tenant.wait_for_status(run_id, Status.FAILED)
    late = client.call("details", run_id=run_id)
    assert (late["status"], late["done"]) == ("FAILED", True)
    assert {name: task["status"] for name, task in late["tasks"].items()} == {
        "quick": "COMPLETED",
        "held": "COMPLETED",
        "broken": "FAILED",
        "cancelled": "CANCELLED",
        "after_held": "COMPLETED",
        "after_broken": "CANCELLED",
    }
    assert "broken on purpose" in late["tasks"]["broken"]["error"]
    assert late["tasks"]["cancelled"]["error"] is None
    assert tenant.marks("after-broken") == []


def test_the_on_failure_task_is_told_the_errors(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", workflow="rescued")
    tenant.wait_for_status(run_id, Status.FAILED)
    assert tenant.marks("errors") == ["fails"]
    tasks = client.call("details", run_id=run_id)["tasks"]
    told = {"error": "RuntimeError: failed in attempt 2"}
    assert told in [task["output"] for task in tasks.values()]
    assert tasks["works"]["status"] == "COMPLETED"
    with pytest.raises(CallFailed, match="failed in attempt 2"):
        client.call("result", run_id=run_id)


def test_the_on_failure_task_of_a_success_does_not_run(tenant: Tenant, client: Client) -> None:
    run_id = client.call("start", workflow="spared")
    assert client.call("result", run_id=run_id)["fine"] == {"fine": "yes"}
    assert tenant.statuses([run_id]) == {run_id: Status.COMPLETED}
    assert tenant.marks("never-needed") == []


def test_the_on_success_task_runs_last_and_only_if_all_went_well(
    tenant: Tenant, client: Client
) -> None:
    good = client.call("start_crowned", fails=False)
    result = client.call("result", run_id=good)
    assert result["crown-on-success"] == {"left": "done", "right": "done"}
    bad = client.call("start_crowned", fails=True)
    tenant.wait_for_status(bad, Status.FAILED)
    tasks = client.call("details", run_id=bad)["tasks"]
    assert tasks["crown-on-success"]["status"] == "CANCELLED"
    assert tenant.marks("crowned") == [good]


def test_replaying_one_task_runs_it_and_its_descendants_again(
    tenant: Tenant, client: Client
) -> None:
    run_id = client.call("start", workflow="mended")
    tenant.wait_for_status(run_id, Status.FAILED)
    failed = client.call("details", run_id=run_id)["tasks"]
    assert failed["third"]["status"] == "CANCELLED"
    tenant.open_gate("mended")
    client.call("replay", run_id=failed["second"]["id"])
    assert client.call("result", run_id=run_id) == {
        "first": {"retry": 0},
        "second": {"retry": 1, "first": 0},
        "third": {"retry": 1, "second": 1},
    }
    assert len(tenant.marks("mended-first")) == 1
    client.call("replay", run_id=run_id)
    again = client.call("result", run_id=run_id)
    assert again["first"] == {"retry": 1}
    assert again["third"] == {"retry": 2, "second": 2}
