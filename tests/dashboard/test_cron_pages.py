"""Crons: the list, a new one with a look at its times, switching, running, deleting."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import unescape
from urllib.parse import urlencode

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.upcoming import upcoming
from engine.domain.cron.firing import Missed
from engine.models import Cron, Payload, Run, WorkflowVersion
from engine.operations.pause_workflows import Pause, pause_workflow
from engine.states import CronMissCause, MissedPolicy, PayloadKind, RunTrigger
from engine.store import crons, sync_db
from engine.store.query import fetch
from tenants.models import Role, Tenant
from tests.dashboard import factories

MAX_QUERIES = 7


@pytest.fixture
def version(tenant: Tenant) -> WorkflowVersion:
    return factories.make_version(tenant, "report")


def page(client: Client, tenant: Tenant, path: str = "") -> str:
    answer = client.get(f"/t/{tenant.slug}/crons{path}")
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_the_list_shows_each_with_its_next_time(
    viewer: Client,
    tenant: Tenant,
    version: WorkflowVersion,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(4):
        factories.make_cron(version, f"cron-{number}", additional_metadata=b'{"team":"core"}')
    other = factories.make_version(tenant, "other")
    off = factories.make_cron(other, "off")
    Cron.objects.filter(id=off.id).update(is_enabled=False, due_at=None)
    elsewhere = factories.make_version(factories.make_tenant("Elsewhere"), "foreign")
    factories.make_cron(elsewhere, "foreign-cron")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, tenant)
    assert "cron-3" in text
    assert "team:core" in text
    assert "Disabled" in text
    assert "foreign" not in text
    due = Cron.objects.get(name="cron-0", tenant=tenant).due_at
    assert due is not None
    assert due.isoformat() in text
    narrowed = page(viewer, tenant, f"?workflow={other.workflow_id}")
    assert "cron-3" not in narrowed
    assert f"cron-{off.id}" in narrowed
    assert "cron-3" in page(viewer, tenant, "?meta=team:core")
    assert "No cron here" in page(viewer, tenant, "?meta=team:edge")


def test_pages_follow_each_other(viewer: Client, tenant: Tenant, version: WorkflowVersion) -> None:
    crons = [factories.make_cron(version, f"cron-{number:02}") for number in range(51)]
    first = page(viewer, tenant)
    assert f"cron-{crons[0].id}" not in first
    assert f"before={crons[1].id}" in first
    assert f"cron-{crons[0].id}" in page(viewer, tenant, f"?before={crons[1].id}")
    assert "No cron here" in page(viewer, tenant, f"?before={crons[0].id}")


def post_new(client: Client, version: WorkflowVersion, **fields: str) -> tuple[int, str]:
    data = {
        "workflow": str(version.workflow_id),
        "name": "weekdays",
        "expression": "TZ=Europe/Berlin 30 8 * * MON-FRI",
        "input": '{"depth": 1.50}',
    }
    slug = version.workflow.tenant.slug
    answer = client.post(f"/t/{slug}/crons/new", data | fields)
    return answer.status_code, unescape(answer.content.decode())


def test_a_cron_is_made_as_it_was_typed(member: Client, version: WorkflowVersion) -> None:
    status, _ = post_new(member, version, metadata="team: core", priority="3")
    assert status == 302
    cron = Cron.objects.get(workflow=version.workflow)
    assert (cron.name, cron.expression) == ("weekdays", "TZ=Europe/Berlin 30 8 * * MON-FRI")
    assert bytes(cron.input) == b'{"depth": 1.50}'
    assert (cron.additional_metadata, cron.priority) == ({"team": "core"}, 3)
    assert (cron.is_declared, cron.is_enabled) == (False, True)
    assert cron.due_at is not None
    text = page(member, version.workflow.tenant, f"/{cron.id}")
    assert "in UTC and in Europe/Berlin" in text
    assert "1.5" in text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": " "}, "Give the cron a name."),
        ({"name": "x" * 201}, "at most 200 characters"),
        ({"name": "a\0b"}, "no NUL"),
        ({"expression": ""}, "it needs five fields"),
        ({"expression": "61 * * * *"}, "is not a cron expression"),
        ({"expression": "a b c d e f"}, "is not a cron expression"),
        ({"expression": "TZ=Mars/Base 0 8 * * *"}, "time zone that we do not know"),
        ({"expression": "*" * 300}, "is not a cron expression"),
        ({"expression": "0 8 * * *\0"}, "is not a cron expression"),
        ({"input": "[1]"}, "must be a JSON object"),
        ({"input": '{"a": "\\ud800"}'}, "surrogate pair"),
        ({"metadata": "nonsense"}, "not of the form key: value"),
        ({"priority": "9"}, "must be 1, 2 or 3"),
        ({"workflow": ""}, "Choose a workflow."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(
    fields: dict[str, str], sentence: str, member: Client, version: WorkflowVersion
) -> None:
    status, text = post_new(member, version, **fields)
    assert status == 422
    assert sentence in text
    assert not Cron.objects.filter(workflow=version.workflow).exists()


def test_a_second_cron_of_the_same_name_and_times_is_refused(
    member: Client, version: WorkflowVersion
) -> None:
    assert post_new(member, version)[0] == 302
    status, text = post_new(member, version)
    assert status == 422
    assert "already" in text


def test_changing_between_fields_and_json_keeps_what_was_typed(
    member: Client, tenant: Tenant
) -> None:
    schema = {"type": "object", "properties": {"depth": {"type": "integer"}}}
    version = factories.make_version(tenant, "deep", schema=schema)
    status, text = post_new(member, version, switch="1", **{"f/depth": "7"})
    assert status == 200
    assert '"depth": 7' in text
    assert 'value="weekdays"' in text
    assert "TZ=Europe/Berlin 30 8 * * MON-FRI" in text
    assert not Cron.objects.filter(workflow=version.workflow).exists()


def test_the_preview_names_the_next_five_times(viewer: Client, tenant: Tenant) -> None:
    query = urlencode({"expression": "0 12 1 1 *"})
    text = page(viewer, tenant, f"/preview?{query}")
    year = datetime.now(UTC).year
    for later in range(1, 6):
        assert f"{year + later}-01-01 12:00:00" in text
    assert page(viewer, tenant, "/preview?expression=").count("<li>") == 0
    assert "is not a cron expression" in page(viewer, tenant, "/preview?expression=61+*+*+*+*")


def test_the_preview_follows_clock_changes() -> None:
    spring = datetime(2026, 3, 28, tzinfo=UTC)
    found = upcoming("TZ=Europe/Berlin 0 8 * * *", spring)
    assert [f"{at:%d %H}" for at, _ in found.times[:3]] == ["28 07", "29 06", "30 06"]
    assert found.times[0][1] == "2026-03-28 08:00:00 CET"
    assert found.times[1][1] == "2026-03-29 08:00:00 CEST"
    assert (
        "never" in upcoming("0 0 30 2 *", spring).problem
        or not upcoming("0 0 30 2 *", spring).times
    )


def test_a_cron_is_disabled_and_enabled(member: Client, version: WorkflowVersion) -> None:
    cron = factories.make_cron(version)
    url = f"/t/{version.workflow.tenant.slug}/crons/{cron.id}"
    answer = member.post(f"{url}/switch", {"enabled": "no"}, follow=True)
    assert "Cron disabled" in answer.content.decode()
    assert "None while it is disabled" in answer.content.decode()
    cron.refresh_from_db()
    assert (cron.is_enabled, cron.due_at) == (False, None)
    member.post(f"{url}/switch", {"enabled": "yes"})
    cron.refresh_from_db()
    assert cron.is_enabled
    assert cron.due_at is not None


def test_run_now_starts_one_run_with_the_crons_input(
    member: Client, version: WorkflowVersion
) -> None:
    cron = factories.make_cron(version, input=b'{"depth":2}', priority=2)
    answer = member.post(f"/t/{version.workflow.tenant.slug}/crons/{cron.id}/run")
    run = Run.objects.get(workflow_id=version.workflow_id)
    assert answer["Location"].endswith(f"/runs/{run.id}")
    assert (run.trigger, run.priority) == (RunTrigger.CRON, 2)
    assert run.additional_metadata is not None
    assert run.additional_metadata["hatchet__cron_name"] == "nightly"
    text = unescape(member.get(answer["Location"]).content.decode())
    assert f"/crons?workflow={version.workflow_id}" in text
    assert "0 3 * * *" in text
    stored = Payload.objects.get(owner_id=run.id, kind=PayloadKind.INPUT)
    assert json.loads(bytes(stored.data)) == {"depth": 2}


def test_deleting_asks_first(member: Client, version: WorkflowVersion) -> None:
    cron = factories.make_cron(version)
    url = f"/t/{version.workflow.tenant.slug}/crons/{cron.id}/delete"
    assert "Delete the cron" in member.get(url).content.decode()
    assert Cron.objects.filter(id=cron.id).exists()
    assert member.post(url).status_code == 302
    assert not Cron.objects.filter(id=cron.id).exists()
    assert member.post(url).status_code == 404


def test_a_declared_cron_says_that_the_code_brings_it_back(
    member: Client, version: WorkflowVersion
) -> None:
    cron = factories.make_cron(version)
    Cron.objects.filter(id=cron.id).update(is_declared=True, name="")
    url = f"/t/{version.workflow.tenant.slug}/crons/{cron.id}"
    assert "the workflow's code" in unescape(member.get(url).content.decode())
    assert "brings it back" in member.get(f"{url}/delete").content.decode()


def test_the_pause_of_its_workflow_is_told(member: Client, version: WorkflowVersion) -> None:
    cron = factories.make_cron(version)
    tenant = version.workflow.tenant
    pause = Pause("DROP", "QUEUE", 60.0)
    sync_db.run(pause_workflow(tenant.id, version.workflow_id, pause, datetime.now(UTC)))
    assert "this cron starts nothing until" in " ".join(page(member, tenant, f"/{cron.id}").split())
    assert "Paused" in page(member, tenant)


def test_inputs_are_hidden_from_those_who_may_not_see_payloads(
    tenant: Tenant, version: WorkflowVersion
) -> None:
    cron = factories.make_cron(version, input=b'{"secret":"hunter2"}')
    client = Client()
    client.force_login(factories.make_member(tenant, Role.MEMBER, can_view_payloads=False))
    text = page(client, tenant, f"/{cron.id}")
    assert "hunter2" not in text
    assert "Hidden" in text


def test_viewers_are_offered_no_writes(
    viewer: Client, member: Client, tenant: Tenant, version: WorkflowVersion
) -> None:
    cron = factories.make_cron(version)
    assert "New cron" in page(member, tenant)
    assert "New cron" not in page(viewer, tenant)
    for words in ("Run now", "Disable", "Delete…"):
        assert words in page(member, tenant, f"/{cron.id}")
        assert words not in page(viewer, tenant, f"/{cron.id}")


def test_what_was_missed_is_told_and_what_to_do_about_it_is_chosen(
    member: Client, viewer: Client, version: WorkflowVersion
) -> None:
    assert post_new(member, version, missed="latest")[0] == 302
    assert post_new(member, version, name="other", missed="sometimes")[0] == 422
    cron = Cron.objects.get(workflow=version.workflow)
    assert cron.missed == MissedPolicy.LATEST
    tenant = version.workflow.tenant
    assert "None in the last 30 days" in page(viewer, tenant, f"/{cron.id}")
    at = datetime(2026, 5, 1, 8, tzinfo=UTC)
    missed = Missed(CronMissCause.FAILED, 7, at, at, "KeyError: <b>")
    sync_db.run(fetch(crons.record_misses([(cron.id, missed)], at)))
    text = page(viewer, tenant, f"/{cron.id}")
    for words in ("Its run could not be started", "KeyError: <b>", "2026-05-01 08:00:00"):
        assert words in text
    assert "The latest missed time is made up." in text
    url = f"/t/{tenant.slug}/crons/{cron.id}/missed"
    assert "made up, the last 100" in unescape(
        member.post(url, {"missed": "all"}, follow=True).content.decode()
    )
    member.post(url, {"missed": "sometimes"})
    cron.refresh_from_db()
    assert cron.missed == MissedPolicy.ALL


def test_a_cron_whose_zone_was_abolished_says_so(member: Client, version: WorkflowVersion) -> None:
    cron = factories.make_cron(version)
    Cron.objects.filter(id=cron.id).update(expression="TZ=Gone/Zone 0 3 * * *", due_at=None)
    url = f"/t/{version.workflow.tenant.slug}/crons/{cron.id}"
    assert "time zone that we do not know" in member.get(url).content.decode()
    answer = member.post(f"{url}/switch", {"enabled": "yes"}, follow=True)
    assert "Nothing was changed" in answer.content.decode()
