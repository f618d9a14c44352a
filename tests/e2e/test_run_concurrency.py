"""Concurrency of whole runs with several tasks, with the official SDK."""

from __future__ import annotations

from typing import Any

import pytest

from engine.states import Status
from tests.e2e.tenant import Client, Tenant, WorkerProcess
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
    assert [step["step"] for step in ran["result"].values()] == [1, 2, 3, 4]
    assert ran["seconds"] < 6


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
