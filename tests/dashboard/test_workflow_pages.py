"""Workflows: the list with counts, and a page with steps, versions and recent runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from engine.domain.definition import StepDefinition
from engine.models import Workflow
from engine.operations.pause_workflows import Pause, pause_workflow
from engine.states import Status, StepKind
from engine.store import sync_db
from tenants.models import Tenant
from tests.dashboard import factories

MAX_QUERIES = 7


def test_the_list_shows_each_with_its_runs(
    viewer: Client, tenant: Tenant, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    greet = factories.make_version(
        tenant, event_triggers=("user:created",), cron_triggers=("0 3 * * *",)
    )
    for number in range(6):
        factories.make_version(tenant, f"other-{number}")
    factories.make_run(greet)
    factories.make_run(greet, Status.FAILED)
    factories.make_version(factories.make_tenant("Elsewhere"), "foreign")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = viewer.get(f"/t/{tenant.slug}/workflows").content.decode()
    assert "About greet" in text
    assert "user:created" in text
    assert "0 3 * * *" in text
    assert (
        "at 0 3 * * *"
        in viewer.get(f"/t/{tenant.slug}/workflows/{greet.workflow_id}").content.decode()
    )
    assert "1 completed" in text
    assert "1 failed" in text
    assert "foreign" not in text


def test_a_page_shows_steps_and_lets_one_look_at_older_versions(
    viewer: Client, tenant: Tenant, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    factories.make_version(tenant, "flow", [factories.step("old-step")])
    version = factories.make_version(
        tenant,
        "flow",
        [
            factories.step("first", retries=3, backoff_factor=2.0, backoff_max_seconds=60),
            factories.step("second", "first"),
            StepDefinition("oops", "flow:oops", kind=StepKind.ON_FAILURE),
        ],
    )
    run = factories.make_run(version, step_states={"first": Status.COMPLETED})
    url = f"/t/{tenant.slug}/workflows/{version.workflow_id}"
    with django_assert_max_num_queries(MAX_QUERIES):
        text = viewer.get(url).content.decode()
    assert "Steps of version 2" in text
    assert "2.0, up to 60 s" in text
    assert 'href="#step-second"' in text
    assert f"/runs/{run.id}" in text
    assert "old-step" not in text
    assert "old-step" in viewer.get(f"{url}?version=1").content.decode()


@pytest.mark.parametrize("version", ["99", "x", "%00", "-1"])
def test_an_unknown_version_shows_the_newest(version: str, viewer: Client, tenant: Tenant) -> None:
    made = factories.make_version(tenant)
    url = f"/t/{tenant.slug}/workflows/{made.workflow_id}?version={version}"
    assert "Steps of version 1" in viewer.get(url).content.decode()


def test_a_paused_workflow_and_its_held_runs_say_so(viewer: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    run = factories.make_run(version, Status.QUEUED)
    pages = (f"workflows/{version.workflow_id}", "workflows", f"runs/{run.id}")
    for path in pages:
        assert "paused" not in viewer.get(f"/t/{tenant.slug}/{path}").content.decode()
    pause = Pause("DROP", "QUEUE", 60.0)
    sync_db.run(pause_workflow(tenant.id, version.workflow_id, pause, datetime.now(UTC)))
    for path in pages:
        assert "paused" in viewer.get(f"/t/{tenant.slug}/{path}").content.decode()


def test_viewers_are_offered_no_writes(viewer: Client, member: Client, tenant: Tenant) -> None:
    version = factories.make_version(tenant)
    run = factories.make_run(version, Status.FAILED)
    worker = factories.make_worker(tenant)
    for path, words in (
        ("runs", "Trigger run"),
        (f"runs/{run.id}", "Replay"),
        (f"workflows/{version.workflow_id}", "Delete"),
        (f"workers/{worker.id}", "Pause</button>"),
    ):
        url = f"/t/{tenant.slug}/{path}"
        assert words in member.get(url).content.decode()
        assert words not in viewer.get(url).content.decode()


def test_a_workflow_is_paused_with_a_choice_and_resumed(
    member: Client, viewer: Client, tenant: Tenant
) -> None:
    version = factories.make_version(tenant)
    url = f"/t/{tenant.slug}/workflows/{version.workflow_id}"
    assert "Pause…" in member.get(url).content.decode()
    assert "Pause…" not in viewer.get(url).content.decode()
    member.post(f"{url}/pause", {"cron": "QUEUE", "scheduled": "DROP", "ttl": "1h30m"})
    workflow = Workflow.objects.get(id=version.workflow_id)
    assert workflow.is_paused
    assert (workflow.paused_cron_behavior, workflow.paused_scheduled_behavior) == ("QUEUE", "DROP")
    assert workflow.paused_ttl_seconds == 5400
    form = member.get(f"{url}/pause").content.decode()
    assert 'value="5400s"' in form
    assert 'value="QUEUE" checked' in form
    assert "Resume" in member.get(url).content.decode()
    assert "Resume" not in viewer.get(url).content.decode()
    member.post(f"{url}/resume")
    assert not Workflow.objects.get(id=version.workflow_id).is_paused


@pytest.mark.parametrize(
    "fields",
    [
        {"cron": "KEEP"},
        {"scheduled": ""},
        {"ttl": "soon"},
        {"ttl": ""},
        {"ttl": "-1s"},
        {"ttl": "\0"},
        {"ttl": "9" * 200 + "h"},
    ],
)
def test_a_pause_that_makes_no_sense_changes_nothing(
    fields: dict[str, str], member: Client, tenant: Tenant
) -> None:
    version = factories.make_version(tenant)
    url = f"/t/{tenant.slug}/workflows/{version.workflow_id}/pause"
    answer = member.post(url, {"cron": "DROP", "scheduled": "DROP", "ttl": "1h"} | fields)
    assert answer.status_code == 422
    assert not Workflow.objects.get(id=version.workflow_id).is_paused
