"""Workers: their state by heartbeat, how full they are, what they run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from engine.models import Task, Worker
from engine.models.worker_queries import WorkerStatus, status_of
from engine.states import Status
from tenants.models import Tenant
from tests.dashboard import factories

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    ("age", "is_active", "is_paused", "status"),
    [
        (1, True, False, WorkerStatus.ACTIVE),
        (5, True, False, WorkerStatus.ACTIVE),
        (5.1, True, False, WorkerStatus.INACTIVE),
        (1, True, True, WorkerStatus.PAUSED),
        (60, True, True, WorkerStatus.INACTIVE),
        (1, False, False, WorkerStatus.INACTIVE),
        (None, True, False, WorkerStatus.INACTIVE),
    ],
)
def test_the_state_follows_from_the_heartbeat(
    age: float | None, is_active: bool, is_paused: bool, status: WorkerStatus
) -> None:
    heartbeat = None if age is None else NOW - timedelta(seconds=age)
    worker = Worker(is_active=is_active, is_paused=is_paused, last_heartbeat_at=heartbeat)
    assert status_of(worker, NOW) is status


def test_a_worker_that_acknowledges_nothing_says_why_it_gets_nothing(
    viewer: Client, tenant: Tenant
) -> None:
    now = datetime.now(UTC)
    worker = factories.make_worker(tenant, last_heartbeat_at=now, stalled_since=now)
    assert status_of(worker, now) is WorkerStatus.INACTIVE
    for page in ("workers", f"workers/{worker.id}"):
        text = viewer.get(f"/t/{tenant.slug}/{page}").content.decode()
        assert "does not acknowledge the tasks it was sent" in text


def test_the_list_counts_slots_by_what_steps_cost(
    viewer: Client, tenant: Tenant, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    worker = factories.make_worker(tenant, slots={"default": 10, "gpu": 4})
    heavy = factories.make_version(
        tenant, "heavy", [factories.step("train", slots={"default": 2, "gpu": 3})]
    )
    light = factories.make_version(tenant, "light")
    factories.make_run(heavy, Status.RUNNING, worker=worker)
    for _ in range(2):
        factories.make_run(light, Status.RUNNING, worker=worker)
    released = factories.make_run(light, Status.RUNNING, worker=worker)
    Task.objects.filter(run_id=released.id).update(is_slot_released=True)
    factories.make_run(light, Status.COMPLETED, worker=worker)
    for number in range(5):
        factories.make_worker(tenant, f"other-{number}")
    with django_assert_max_num_queries(6):
        text = viewer.get(f"/t/{tenant.slug}/workers").content.decode()
    assert "4/10" in text
    assert "3/4" in text


def test_a_worker_unseen_for_a_day_is_not_listed(viewer: Client, tenant: Tenant) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    factories.make_worker(tenant, "gone", last_heartbeat_at=long_ago)
    assert "gone" not in viewer.get(f"/t/{tenant.slug}/workers").content.decode()


def test_a_page_shows_what_runs_there(
    viewer: Client, tenant: Tenant, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    worker = factories.make_worker(tenant, os="Linux", labels={"gpu": "a100", EVIL: EVIL})
    run = factories.make_run(factories.make_version(tenant), Status.RUNNING, worker=worker)
    url = f"/t/{tenant.slug}/workers/{worker.id}"
    viewer.get(url)  # reads the definition, which never changes
    with django_assert_max_num_queries(6):
        text = viewer.get(url).content.decode()
    assert f"/runs/{run.id}" in text
    assert "gpu:a100" in text
    assert "flow:say" in text
    assert "1/100" in text
    assert "Python 1.43.1" in text
    assert EVIL not in text
