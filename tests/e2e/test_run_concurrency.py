"""Concurrency of whole runs with several tasks, with the official SDK."""

from __future__ import annotations

from typing import Any

import pytest

from engine.states import Status
from tests.e2e.tenant import CallFailed, Client, Tenant, WorkerProcess
from tests.e2e.test_concurrency import most_at_once

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("run_concurrency")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("run_concurrency")


def span(run: dict[str, Any]) -> dict[str, Any]:
    """From when the first task of a run started to when its last ended."""
    steps = list(run.values())
    return {
        "user": steps[0]["user"],
        "country": steps[0]["country"],
        "from": min(step["from"] for step in steps),
        "to": max(step["to"] for step in steps),
    }


def test_limits_of_a_workflow_count_its_runs_not_their_tasks(client: Client) -> None:
    jobs = [{"user": f"user-{n % 4}", "country": f"country-{n % 2}"} for n in range(24)]
    runs = [span(run) for run in client.call("run_pairs", jobs=jobs)]
    assert len(runs) == len(jobs)
    for field, limit in (("user", 2), ("country", 3)):
        most = {
            key: most_at_once([run for run in runs if run[field] == key])
            for key in {run[field] for run in runs}
        }
        assert max(most.values()) <= limit, most
    assert most_at_once(runs) > 3, "keys do not wait for each other"


def test_steps_of_a_chain_neither_cancel_nor_wait_for_their_own_run(
    tenant: Tenant, client: Client
) -> None:
    tenant.open_gate("chain-free")
    ran = client.call("run_chain", user="free")
    assert [step["step"] for step in ran.values()] == [1, 2, 3, 4]


def test_the_newest_run_cancels_the_older_ones_whole(tenant: Tenant, client: Client) -> None:
    runs = []
    before = len(tenant.marks("chain-third"))
    for number in range(3):
        runs.append(client.call("start", workflow="chain", user="held"))
        tenant.wait_for_marks("chain-third", before + number + 1)
    for run_id in runs[:-1]:
        tenant.wait_for_status(run_id, Status.CANCELLED)
        client.call("result_of", run_id=run_id)
    tenant.open_gate("chain-held")
    tenant.wait_for_status(runs[-1], Status.COMPLETED)


def test_runs_that_time_out_within_limits_of_both_levels_fail_and_block_nobody(
    tenant: Tenant, client: Client
) -> None:
    runs = [client.call("start", workflow="slow_pair") for _ in range(2)]
    for run_id in runs:
        tenant.wait_for_status(run_id, Status.FAILED)
    assert len(tenant.marks("rescued")) == 2


def test_workflows_share_a_limit_of_the_tenant(client: Client) -> None:
    runs = client.call("run_shared", count=5)
    assert len(runs) == 10
    assert most_at_once(runs) <= 2


def test_a_limit_is_what_the_newest_task_computes(client: Client) -> None:
    assert 1 < most_at_once(client.call("run_tiered", count=12, country="gold")) <= 3
    assert most_at_once(client.call("run_tiered", count=4, country="1")) == 1


@pytest.mark.parametrize("country", ["0", "-2", "many"])
def test_a_limit_that_is_none_fails_the_run(client: Client, country: str) -> None:
    with pytest.raises(CallFailed, match="failed to parse step expression"):
        client.call("run_tiered", count=1, country=country)


@pytest.mark.parametrize(("workflow", "kept"), [("keep_newest", 3), ("keep_oldest", 1)])
def test_of_the_waiting_runs_all_but_one_are_cancelled(
    tenant: Tenant, client: Client, workflow: str, kept: int
) -> None:
    runs = [client.call("start", workflow=workflow)]
    tenant.wait_for_marks(f"{workflow}-started")
    runs += [client.call("start", workflow=workflow) for _ in range(3)]
    for run_id in {1, 2, 3} - {kept}:
        tenant.wait_for_status(runs[run_id], Status.CANCELLED)
    assert tenant.statuses(runs)[runs[0]] is Status.RUNNING
    tenant.open_gate(workflow)
    for run_id in (runs[0], runs[kept]):
        tenant.wait_for_status(run_id, Status.COMPLETED)
