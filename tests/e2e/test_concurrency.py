"""Concurrency limits with the official SDK, judged by when runs started and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine.states import Status
from tests.e2e.tenant import Client, Tenant, WorkerProcess, wait_for

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def worker(tenant: Tenant) -> WorkerProcess:
    return tenant.start_worker("concurrency")


@pytest.fixture(scope="module")
def client(tenant: Tenant) -> Client:
    return tenant.start_client("concurrency")


def most_at_once(runs: Sequence[dict[str, Any]]) -> int:
    moments = [(run["from"], 1) for run in runs] + [(run["to"], -1) for run in runs]
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


def test_two_limits_hold_for_every_key_and_are_used_up(client: Client) -> None:
    jobs = [{"user": f"user-{n % 5}", "country": f"country-{n % 2}"} for n in range(40)]
    runs = client.call("run_fair", jobs=jobs)
    assert len(runs) == len(jobs)
    for field, limit in (("user", 3), ("country", 4)):
        most = {
            key: most_at_once([run for run in runs if run[field] == key])
            for key in {run[field] for run in runs}
        }
        assert max(most.values()) <= limit, most
    assert most_at_once(runs) > 4, "keys do not wait for each other"


def test_a_number_for_a_limit_means_one_group_for_all(client: Client) -> None:
    assert most_at_once(client.call("run_single", count=6)) == 1


def test_the_newest_run_cancels_those_before_it(tenant: Tenant, client: Client) -> None:
    runs = []
    for number in range(4):
        runs.append(client.call("start", workflow="newest_wins"))
        tenant.wait_for_marks("newest_wins-started", number + 1)
    wait_for("the older to be cancelled", lambda: Status.RUNNING not in older(tenant, runs))
    assert older(tenant, runs) == [Status.CANCELLED] * 3
    tenant.open_gate("newest_wins")
    tenant.wait_for_status(runs[-1], Status.COMPLETED)


def older(tenant: Tenant, runs: list[str]) -> list[Status]:
    statuses = tenant.statuses(runs)
    return [statuses[run_id] for run_id in runs[:-1]]


def test_the_first_run_has_those_after_it_cancelled(tenant: Tenant, client: Client) -> None:
    first = client.call("start", workflow="first_wins")
    tenant.wait_for_marks("first_wins-started")
    for _ in range(3):
        tenant.wait_for_status(client.call("start", workflow="first_wins"), Status.CANCELLED)
    tenant.open_gate("first_wins")
    tenant.wait_for_status(first, Status.COMPLETED)
    assert len(tenant.marks("first_wins-started")) == 1
