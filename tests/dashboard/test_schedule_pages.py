"""Scheduled runs: lists of waiting and started ones, a new one, moving, running, deleting many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from dashboard.moments import parse_when
from engine.models import Run, Schedule, WorkflowVersion
from engine.operations.timetable.fire_schedules import run_schedule_now
from engine.store import sync_db
from tenants.models import Role, Tenant
from tests.dashboard import factories

MAX_QUERIES = 8
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def version(tenant: Tenant) -> WorkflowVersion:
    return factories.make_version(tenant, "report")


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/scheduled"


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def run_now(schedule: Schedule) -> Run:
    operation = run_schedule_now(schedule.tenant_id, schedule.id, datetime.now(UTC))
    return Run.objects.get(id=sync_db.run(operation))


def test_what_waits_is_listed_soonest_first_and_what_started_apart(
    viewer: Client,
    url: str,
    version: WorkflowVersion,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    now = datetime.now(UTC)
    late = factories.make_schedule(version, now + timedelta(days=3))
    soon = factories.make_schedule(version, now + timedelta(days=1))
    started = factories.make_schedule(version)
    run = run_now(started)
    elsewhere = factories.make_version(factories.make_tenant("Elsewhere"), "foreign")
    factories.make_schedule(elsewhere)
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    assert text.index(str(soon.id)) < text.index(str(late.id))
    assert str(started.id) not in text
    assert "foreign" not in text
    fired = page(viewer, f"{url}?state=fired")
    assert f"/runs/{run.id}" in fired
    assert str(soon.id) not in fired


def test_pages_follow_each_other_also_among_equal_times(
    viewer: Client, url: str, version: WorkflowVersion
) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    made = sorted(str(factories.make_schedule(version, at).id) for _ in range(51))
    first = page(viewer, url)
    assert made[49] in first
    assert made[50] not in first
    place = first.split("from=")[-1].split('"')[0]
    second = page(viewer, f"{url}?from={place}")
    assert made[50] in second
    assert f"schedule-{made[49]}" not in second


@pytest.mark.parametrize("place", ["x", "~", "2026~x", "%00~%00", "2026-01-01~" + "0" * 32])
def test_a_place_that_makes_no_sense_is_the_beginning(
    place: str, viewer: Client, url: str, version: WorkflowVersion
) -> None:
    schedule = factories.make_schedule(version)
    assert str(schedule.id) in page(viewer, f"{url}?from={place}")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-04 13:30", datetime(2026, 5, 4, 13, 30, tzinfo=UTC)),
        ("2026-05-04T13:30:05Z", datetime(2026, 5, 4, 13, 30, 5, tzinfo=UTC)),
        ("2026-05-04T20:30+07:00", datetime(2026, 5, 4, 13, 30, tzinfo=UTC)),
        ("15m", NOW + timedelta(minutes=15)),
        ("in 1h30m", NOW + timedelta(minutes=90)),
        (" 2d ", NOW + timedelta(days=2)),
    ],
)
def test_moments_are_read_as_people_write_them(text: str, moment: datetime) -> None:
    assert parse_when(text, NOW) == (moment, "")


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "-5m", "2026-05-04 11:59", "0001-01-01T00:00+14:00", "9" * 80, "\0"],
)
def test_moments_that_are_none_or_past_are_refused(text: str) -> None:
    found, problem = parse_when(text, NOW)
    assert found is None
    assert problem


def test_a_run_is_scheduled_moved_and_started(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    data = {"workflow": str(version.workflow_id), "at": "2h", "input": '{"a": 1}', "priority": "3"}
    answer = member.post(f"{url}/new", data)
    schedule = Schedule.objects.get(workflow=version.workflow)
    assert answer["Location"] == f"{url}/{schedule.id}"
    assert schedule.trigger_at > datetime.now(UTC) + timedelta(minutes=119)
    assert (bytes(schedule.input), schedule.priority) == (b'{"a": 1}', 3)
    member.post(f"{url}/{schedule.id}/move", {"at": "2040-01-31 08:00"})
    schedule.refresh_from_db()
    assert schedule.trigger_at == schedule.due_at == datetime(2040, 1, 31, 8, tzinfo=UTC)
    assert "2040-01-31 08:00:00" in page(member, f"{url}/{schedule.id}")
    answer = member.post(f"{url}/{schedule.id}/run")
    run = Run.objects.get(workflow_id=version.workflow_id)
    assert answer["Location"].endswith(f"/runs/{run.id}")
    started_by = f"{url}?state=fired&workflow={version.workflow_id}"
    assert started_by in page(member, f"/t/{version.workflow.tenant.slug}/runs/{run.id}")
    text = page(member, f"{url}/{schedule.id}")
    assert f"/runs/{run.id}" in text
    assert "Reschedule" not in text


def test_what_has_started_is_neither_moved_nor_started_again(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    schedule = factories.make_schedule(version)
    run_now(schedule)
    for path, data in (("move", {"at": "2h"}), ("run", {})):
        answer = member.post(f"{url}/{schedule.id}/{path}", data, follow=True)
        assert "already been triggered" in answer.content.decode()
    assert Run.objects.filter(workflow_id=version.workflow_id).count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"at": "yesterday"}, "Not a moment"),
        ({"at": "2020-01-01 08:00"}, "is past"),
        ({"input": "{"}, "Not JSON"),
        ({"workflow": ""}, "Choose a workflow."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_scheduled(
    fields: dict[str, str], sentence: str, member: Client, url: str, version: WorkflowVersion
) -> None:
    data = {"workflow": str(version.workflow_id), "at": "2h", "input": "{}"}
    answer = member.post(f"{url}/new", data | fields)
    assert answer.status_code == 422
    assert sentence in unescape(answer.content.decode())
    assert not Schedule.objects.filter(workflow=version.workflow).exists()


def test_a_wrong_new_time_leaves_the_old_one(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    schedule = factories.make_schedule(version)
    answer = member.post(f"{url}/{schedule.id}/move", {"at": "2020-01-01"})
    assert answer.status_code == 422
    assert "is past" in answer.content.decode()
    assert Schedule.objects.get(id=schedule.id).trigger_at == schedule.trigger_at


def left(version: WorkflowVersion) -> set[str]:
    found = Schedule.objects.filter(workflow=version.workflow).values_list("id", flat=True)
    return {str(schedule_id) for schedule_id in found}


def test_the_ticked_are_deleted_once_it_is_confirmed(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    first, second, third = (str(factories.make_schedule(version).id) for _ in range(3))
    answer = member.post(f"{url}/delete", {"id": [first, second]})
    assert "Delete 2 scheduled runs?" in answer.content.decode()
    assert left(version) == {first, second, third}
    member.post(f"{url}/delete", {"id": [first, second], "confirmed": "yes"})
    assert left(version) == {third}


def test_all_that_match_the_filter_are_deleted(
    member: Client, tenant: Tenant, url: str, version: WorkflowVersion
) -> None:
    other = factories.make_version(tenant, "other")
    kept = str(factories.make_schedule(other).id)
    factories.make_schedule(version)
    started = factories.make_schedule(version)
    run_now(started)
    data = {"all": "1", "workflow": str(version.workflow_id)}
    answer = member.post(f"{url}/delete", data)
    assert "Delete 1 scheduled run?" in answer.content.decode()
    member.post(f"{url}/delete", data | {"confirmed": "yes"})
    assert left(version) == {str(started.id)}
    assert left(other) == {kept}


def test_the_ticked_are_moved_to_a_time_that_is_asked_for(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    first, second, third = (factories.make_schedule(version) for _ in range(3))
    ids = {"id": [str(first.id), str(second.id)]}
    assert "Move 2 scheduled runs" in member.post(f"{url}/move", ids).content.decode()
    answer = member.post(f"{url}/move", ids | {"at": "yesterday"})
    assert (answer.status_code, "Not a moment" in answer.content.decode()) == (422, True)
    member.post(f"{url}/move", ids | {"at": "2040-01-31 08:00"})
    at = datetime(2040, 1, 31, 8, tzinfo=UTC)
    moved = Schedule.objects.filter(trigger_at=at, due_at=at, workflow=version.workflow)
    assert set(moved.values_list("id", flat=True)) == {first.id, second.id}
    assert Schedule.objects.get(id=third.id).trigger_at == third.trigger_at


def test_metadata_narrows_the_list_and_what_is_done_to_all_of_it(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    wanted = factories.make_schedule(version, additional_metadata=b'{"customer":"42"}')
    other = factories.make_schedule(version, additional_metadata=b'{"customer":"7"}')
    text = page(member, f"{url}?meta=customer:42")
    assert str(wanted.id) in text
    assert str(other.id) not in text
    assert "write key:value" in page(member, f"{url}?meta=customer")
    data = {"all": "1", "meta": "customer:42", "confirmed": "yes"}
    member.post(f"{url}/delete", data)
    assert left(version) == {str(other.id)}


def test_nothing_of_another_tenant_and_nothing_unreadable_is_deleted(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    elsewhere = factories.make_version(factories.make_tenant("Elsewhere"), "foreign")
    foreign = factories.make_schedule(elsewhere)
    data = {"id": [str(foreign.id), "x", "\0"], "confirmed": "yes"}
    answer = member.post(f"{url}/delete", data, follow=True)
    assert "Nothing to do" in answer.content.decode()
    assert Schedule.objects.filter(id=foreign.id).exists()


def test_inputs_are_hidden_from_those_who_may_not_see_payloads(
    tenant: Tenant, url: str, version: WorkflowVersion
) -> None:
    schedule = factories.make_schedule(version, input=b'{"secret":"hunter2"}')
    client = Client()
    client.force_login(factories.make_member(tenant, Role.MEMBER, can_view_payloads=False))
    assert "hunter2" not in page(client, f"{url}/{schedule.id}")


def test_viewers_are_offered_no_writes(
    viewer: Client, member: Client, url: str, version: WorkflowVersion
) -> None:
    schedule = factories.make_schedule(version)
    for path, words in (
        ("", "Schedule a run"),
        ("", "Delete…"),
        (f"/{schedule.id}", "Reschedule"),
        (f"/{schedule.id}", "Run now"),
    ):
        assert words in page(member, url + path)
        assert words not in page(viewer, url + path)
