"""The start page: one sentence of how it stands, and what whoever is on call looks for first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.standing import Facts, Waiting, verdict
from engine.ids import id_at
from engine.models import CronMiss, RunTally, Task, Workflow
from engine.states import CronMissCause, Status
from tenants.models import Role, Tenant, User
from tests.dashboard import factories, failed

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
MAX_QUERIES = 8
"""Two of them begin and end what is a transaction of its own outside of tests."""
UNSCHEDULED = "No engine schedules this tenant: nothing starts."


def waiting(
    action: str = "flow:ocr", *, is_covered: bool = True, ago: float = 1, number: int = 1
) -> Waiting:
    return Waiting(action, number, id_at(NOW - timedelta(seconds=ago)), is_covered, None)


MISS = {"times": 3}


@pytest.mark.parametrize(
    ("facts", "state", "sentence"),
    [
        (
            Facts(runs=1204, workers=3),
            "success",
            "All is well: 1,204 runs in the last hour, none failed, 3 workers connected.",
        ),
        (
            Facts(runs=100, failed=2, usual=3, workers=1),
            "success",
            "All is well: 100 runs in the last hour, 2 failed, 1 worker connected.",
        ),
        (Facts(workers=0), "success", "All is well: nothing waits, 0 workers connected."),
        (
            Facts(is_scheduled=False),
            "error",
            UNSCHEDULED,
        ),
        (
            Facts(waiting=[waiting(is_covered=False)]),
            "error",
            "1 task waits for flow:ocr, which no worker offers.",
        ),
        (
            Facts(waiting=[waiting(f"a:{n}", is_covered=False, number=500) for n in range(5)]),
            "error",
            "2,500 tasks wait for a:0, a:1, a:2 and 2 more, which no worker offers.",
        ),
        (
            Facts(runs=50, failed=41, usual=3),
            "error",
            "41 runs of the last hour failed, usually 3 an hour.",
        ),
        (Facts(runs=9, failed=1), "error", "1 run of the last hour failed, usually none."),
        (Facts(runs=9, failed=5, usual=1), "success", None),
        (
            Facts(waiting=[waiting(ago=840), waiting("b", ago=10)]),
            "warning",
            "The oldest queued task waits for 14 m, for flow:ocr.",
        ),
        (Facts(waiting=[waiting(ago=200)]), "success", None),
        (
            Facts(missed=[MISS, MISS]),
            "warning",
            "2 crons missed 6 times in the last 24 hours.",
        ),
        (
            Facts(paused=[{"name": name} for name in "abcd"]),
            "warning",
            "a, b, c and others are paused.",
        ),
        (Facts(paused=[{"name": "pay"}]), "warning", "pay is paused."),
        (
            Facts(connections=95, most_connections=100),
            "warning",
            "The database has 95 of 100 connections in use.",
        ),
        (
            Facts(missed=[{"times": 1}], is_scheduled=False),
            "error",
            f"{UNSCHEDULED} 1 cron missed 1 time in the last 24 hours.",
        ),
    ],
)
def test_one_sentence_says_how_it_stands(facts: Facts, state: str, sentence: str | None) -> None:
    found = verdict(facts, NOW)
    assert found.state == state
    assert sentence is None or found.sentence == sentence


def page(client: Client, tenant: Tenant, **headers: str) -> str:
    answer = client.get(f"/t/{tenant.slug}/", headers=headers)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def standing(text: str) -> str:
    return text[text.index('id="standing"') :].partition("</p>")[0]


@pytest.fixture
def busy(tenant: Tenant) -> dict[str, Any]:
    """A tenant in which everything is the matter."""
    factories.make_lease(tenant)
    version = factories.make_version(tenant)
    gone = factories.make_worker(
        tenant, "w-3", is_active=False, last_heartbeat_at=datetime.now(UTC) - timedelta(minutes=14)
    )
    factories.make_worker(factories.make_tenant("Elsewhere"), "foreign")
    queued = factories.make_run(version, Status.QUEUED, ago=timedelta(minutes=20))
    broken = [factories.make_run(version, Status.FAILED) for _ in range(8)]
    group = failed.add_failure(Task.objects.get(id=broken[0].id))
    cron = factories.make_cron(version)
    at = datetime.now(UTC)
    miss = {"cause": CronMissCause.STOPPED, "detail": "", "recorded_at": at}
    CronMiss.objects.create(cron=cron, count=2, first_at=at, last_at=at, **miss)
    factories.make_version(tenant, "paused")
    Workflow.objects.filter(tenant=tenant, name="paused").update(is_paused=True)
    factories.make_audit_entry(tenant, "rate_limit.put", resource_name="api-limit")
    return {"queued": queued, "group": group, "cron": cron, "gone": gone}


def test_everything_that_is_the_matter_is_named_and_linked(
    viewer: Client,
    tenant: Tenant,
    busy: dict[str, Any],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, tenant)
    sentence = standing(text)
    assert "1 task waits for flow:say, which no worker offers." in sentence
    assert "8 runs of the last hour failed, usually none." in sentence
    assert "1 cron missed 2 times" in sentence
    assert "paused is paused." in sentence
    assert "No engine" not in sentence
    for part in (
        f"/workers/{busy['gone'].id}",
        f"/runs?id={busy['queued'].id}",
        f"/errors/{busy['group'].id}",
        f"/crons/{busy['cron'].id}#missed",
        "missed 2: No engine was running",
        "greet: version 1",
    ):
        assert part in text, part
    assert "foreign" not in text


def test_only_admins_see_who_changed_what(
    viewer: Client, admin: Client, tenant: Tenant, busy: dict[str, Any]
) -> None:
    assert "api-limit" not in page(viewer, tenant)
    assert "rate_limit.put api-limit" in page(admin, tenant)


def test_a_worker_that_offers_the_action_covers_it(
    viewer: Client, tenant: Tenant, busy: dict[str, Any]
) -> None:
    factories.make_worker(tenant)
    text = page(viewer, tenant)
    assert "which no worker offers" not in text
    assert "The oldest queued task waits for 20 m, for flow:say." in standing(text)


def test_without_an_engine_it_says_so(viewer: Client, tenant: Tenant) -> None:
    factories.make_run(factories.make_version(tenant))
    assert "No engine schedules this tenant: nothing starts." in standing(page(viewer, tenant))


def test_when_all_is_well_it_says_so(viewer: Client, tenant: Tenant) -> None:
    factories.make_lease(tenant)
    factories.make_worker(tenant)
    factories.make_run(factories.make_version(tenant))
    text = page(viewer, tenant)
    assert "All is well: 1 run in the last hour, none failed, 1 worker connected." in standing(text)
    assert "No open errors." in text
    assert "Nothing waits for a worker." in text


def test_failures_are_compared_with_those_of_the_day(viewer: Client, tenant: Tenant) -> None:
    factories.make_lease(tenant)
    version = factories.make_version(tenant)
    for _ in range(8):
        factories.make_run(version, Status.FAILED)
    earlier = datetime.now(UTC) - timedelta(hours=5)
    RunTally.objects.create(
        tenant_id=tenant.id,
        workflow_id=version.workflow_id,
        minute=earlier.replace(second=0, microsecond=0),
        status=Status.FAILED,
        delta=230,
    )
    text = page(viewer, tenant)
    assert "All is well: 8 runs in the last hour, 8 failed" in standing(text)
    assert "Usually 10 an hour." in text


def test_a_new_tenant_is_told_how_to_begin(owner: Client, tenant: Tenant) -> None:
    text = page(owner, tenant)
    assert "No runs yet" in text
    assert "Create an API token" in text
    assert 'id="standing"' not in text


def test_the_fragment_is_what_the_page_includes_and_not_sent_twice(
    viewer: Client, tenant: Tenant, busy: dict[str, Any]
) -> None:
    url = f"/t/{tenant.slug}/now/live"
    first = viewer.get(url)
    assert first.content.decode() in viewer.get(f"/t/{tenant.slug}/").content.decode()


@pytest.mark.parametrize(
    ("role", "shown", "hidden"),
    [(Role.VIEWER, ["Errors", "Settings"], ["Audit log"]), (Role.ADMIN, ["Audit log"], [])],
)
def test_the_navigation_is_grouped_and_shows_what_one_may_open(
    tenant: Tenant,
    sign_in: Callable[[User], Client],
    role: Role,
    shown: list[str],
    hidden: list[str],
) -> None:
    text = page(sign_in(factories.make_member(tenant, role)), tenant)
    nav = text[text.index('<nav class="nav"') :].partition("</nav>")[0]
    for name in ("Activity", "Triggers", "Resources", "Tenant"):
        assert f">{name}</p>" in nav
    assert nav.count('aria-current="page"') == 1
    assert all(name in nav for name in shown)
    assert not any(name in nav for name in hidden)
