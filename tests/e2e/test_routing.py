"""Worker affinity and sticky assignment with the official SDK and two workers that differ."""

from __future__ import annotations

import pytest

from engine.states import Status
from tests.e2e.tenant import Client, Tenant, WorkerProcess


@pytest.fixture(scope="module")
def small(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("routing", {"E2E_MEMORY": "64", "E2E_ZONE": "eu"})


@pytest.fixture(scope="module")
def big(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("routing", {"E2E_MEMORY": "512", "E2E_ZONE": "us"})


@pytest.fixture(scope="module")
def client(tenant: Tenant, small: WorkerProcess, big: WorkerProcess) -> Client:
    return tenant.start_client("routing", {"E2E_MEMORY": "0", "E2E_ZONE": ""})


def test_a_task_runs_only_where_its_labels_are_met(client: Client, big: WorkerProcess) -> None:
    for _ in range(4):
        assert client.call("run", workflow="large") == {"needs_memory": {"worker": str(big.id)}}


def test_each_run_may_ask_for_other_labels(
    client: Client, small: WorkerProcess, big: WorkerProcess
) -> None:
    for zone, worker in [("eu", small), ("us", big)] * 3:
        run_id = client.call("start", workflow="anywhere", zone=zone)
        assert client.call("result", run_id=run_id) == {"runs_anywhere": {"worker": str(worker.id)}}


def test_the_labels_of_a_run_replace_those_of_its_task(
    client: Client, small: WorkerProcess
) -> None:
    run_id = client.call("start", workflow="large", zone="eu")
    assert client.call("result", run_id=run_id) == {"needs_memory": {"worker": str(small.id)}}


def test_a_task_that_changes_its_workers_labels_draws_waiting_runs_there(
    tenant: Tenant, client: Client
) -> None:
    waiting = client.call("start", workflow="anywhere", model="fancy")
    loading = client.call("start", workflow="relabel")
    (worker_id,) = tenant.wait_for_marks("loading")
    assert tenant.statuses([waiting]) == {waiting: Status.QUEUED}
    tenant.open_gate("load")
    assert client.call("result", run_id=waiting) == {"runs_anywhere": {"worker": worker_id}}
    assert client.call("result", run_id=loading) == {"load_model": {"worker": worker_id}}


def test_a_sticky_run_and_its_sticky_children_stay_together(client: Client) -> None:
    for _ in range(3):
        answer = client.call("run", workflow="family")
        worker = answer["parent"]["worker"]
        assert answer["parent"]["children"] == [worker] * 4
        assert answer["follows"] == {"worker": worker}
