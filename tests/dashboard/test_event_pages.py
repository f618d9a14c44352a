"""Events: the list, one with what it started or why it started nothing, pushing one."""

from __future__ import annotations

import json
from html import unescape

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from engine.models import EndedWait, Event, EventTrigger, Payload, Run, WorkflowVersion
from engine.states import PayloadKind, Status
from tenants.models import Role, Tenant
from tests.dashboard import factories

MAX_QUERIES = 7


def listening(tenant: Tenant, name: str, key: str) -> WorkflowVersion:
    version = factories.make_version(tenant, name, event_triggers=(key,))
    EventTrigger.objects.create(tenant=tenant, workflow=version.workflow, pattern=key)
    return version


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/events"


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_the_list_counts_what_each_started(
    viewer: Client,
    tenant: Tenant,
    url: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for name in ("one", "two"):
        listening(tenant, name, "user:created")
    factories.push_event(tenant, scope="eu", additional_metadata=b'{"source":"web"}')
    for _ in range(5):
        factories.push_event(tenant, "other")
    factories.push_event(factories.make_tenant("Elsewhere"), "foreign")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    assert "2 queued" in text
    assert "source:web" in text
    assert "foreign" not in text


def test_an_event_that_ended_waits_says_which(viewer: Client, tenant: Tenant, url: str) -> None:
    event = factories.push_event(tenant, "order:paid")
    run = factories.make_run(factories.make_version(tenant, "waiter"), Status.RUNNING)
    known = {"tenant_id": tenant.id, "event_id": event.id, "at": event.seen_at, "ordinal": 0}
    known |= {"run_id": run.id, "task_id": run.id}
    EndedWait.objects.create(branch_id=1, node_id=3, **known)
    EndedWait.objects.create(**known)
    elsewhere = factories.make_tenant("Elsewhere")
    EndedWait.objects.create(**known | {"tenant_id": elsewhere.id})
    text = page(viewer, f"{url}/{event.id}")
    assert "It started nothing" not in text
    assert "waiter" in text
    assert f"?tab=durable&task={run.id}#entry-1-3" in text
    assert text.count('id="wait-') == 2
    assert "ended 2 waits" in page(viewer, url)


def test_filters_narrow_the_list(viewer: Client, tenant: Tenant, url: str) -> None:
    version = listening(tenant, "one", "user:created")
    wanted = factories.push_event(tenant, scope="eu", additional_metadata=b'{"n":7}')
    other = factories.push_event(tenant, "user_created", scope="us")
    for query in (
        "key=user:created",
        "scope=eu",
        "meta=n:7",
        f"workflow={version.workflow_id}",
        f"key=user:created&scope=eu&meta=n:7&workflow={version.workflow_id}",
    ):
        text = page(viewer, f"{url}?{query}")
        assert str(wanted.id) in text
        assert str(other.id) not in text
    assert "write key:value" in page(viewer, f"{url}?meta=nonsense")
    assert "No event here" in page(viewer, f"{url}?key=%00%00nothing")


@pytest.mark.parametrize("query", ["window=x", "workflow=x", "before=x", "key=%00", "meta=%00:%00"])
def test_queries_that_make_no_sense_do_no_harm(query: str, viewer: Client, url: str) -> None:
    page(viewer, f"{url}?{query}")


def test_pages_follow_each_other(viewer: Client, tenant: Tenant, url: str) -> None:
    events = [factories.push_event(tenant, f"k{number}") for number in range(51)]
    first = page(viewer, url)
    assert f"event-{events[0].id}" not in first
    assert f"before={events[1].id}" in first
    assert f"event-{events[0].id}" in page(viewer, f"{url}?before={events[1].id}")


def test_an_event_shows_its_payload_and_the_runs_it_started(
    viewer: Client, tenant: Tenant, url: str
) -> None:
    version = listening(tenant, "one", "user:created")
    made = factories.make_filter(version, "input.n > 1.0", "eu")
    event = factories.push_event(tenant, scope="eu", payload=b'{"n": 2, "name": "Ada"}')
    run = Run.objects.get(workflow_id=version.workflow_id)
    text = page(viewer, f"{url}/{event.id}")
    assert '"name": "Ada"' in text
    assert f"/runs/{run.id}" in text
    assert f"/filters/{made.id}" in text
    assert f"/events/{event.id}" in page(viewer, f"/t/{tenant.slug}/runs/{run.id}")
    download = viewer.get(f"{url}/{event.id}/payload.json")
    assert download.content == b'{"n": 2, "name": "Ada"}'


def test_an_event_that_started_nothing_says_why(viewer: Client, tenant: Tenant, url: str) -> None:
    def why(**event: str) -> str:
        return page(viewer, f"{url}/{factories.push_event(tenant, **event).id}")

    assert "No workflow is started by events of this key" in why(key="nobody:listens")
    early = factories.push_event(tenant)
    version = listening(tenant, "one", "user:created")
    assert "did not when the event came" in page(viewer, f"{url}/{early.id}")
    factories.make_filter(version, "input.n > 1.0", "eu")
    assert "need a scope" in why()
    assert "No filter of one with this scope was true" in why(scope="us")
    failed = why(scope="eu")
    assert "input.n > 1.0" in failed
    assert "no such key" in failed


def test_payloads_are_hidden_from_those_who_may_not_see_them(tenant: Tenant, url: str) -> None:
    event = factories.push_event(tenant, payload=b'{"secret":"hunter2"}')
    client = Client()
    client.force_login(factories.make_member(tenant, Role.MEMBER, can_view_payloads=False))
    text = page(client, f"{url}/{event.id}")
    assert "hunter2" not in text
    assert "Hidden" in text
    assert client.get(f"{url}/{event.id}/payload.json").status_code == 404


def test_a_pushed_event_starts_what_listens(member: Client, tenant: Tenant, url: str) -> None:
    version = listening(tenant, "one", "user:created")
    data = {
        "key": "user:created",
        "input": '{"n": 1.50}',
        "scope": "eu",
        "metadata": "source: hand\nhatchet__event_id: forged",
        "priority": "3",
    }
    answer = member.post(f"{url}/push", data)
    event = Event.objects.get(tenant_id=tenant.id)
    assert answer["Location"] == f"{url}/{event.id}"
    assert (event.key, event.scope, event.priority) == ("user:created", "eu", 3)
    assert event.additional_metadata == {"source": "hand"}
    stored = Payload.objects.get(owner_id=event.id, kind=PayloadKind.EVENT)
    assert bytes(stored.data) == b'{"n": 1.50}'
    run = Run.objects.get(workflow_id=version.workflow_id)
    assert (run.event_id, run.priority) == (event.id, 3)
    given = Payload.objects.get(owner_id=run.id, kind=PayloadKind.INPUT)
    assert json.loads(bytes(given.data)) == {"n": 1.5}


def test_an_event_is_pushed_again_as_a_new_one(
    member: Client, viewer: Client, tenant: Tenant, url: str
) -> None:
    first = factories.push_event(tenant, payload=b'{"n":1}', additional_metadata=b'{"a":"b"}')
    version = listening(tenant, "one", "user:created")
    assert "Push again" in page(member, f"{url}/{first.id}")
    assert "Push again" not in page(viewer, f"{url}/{first.id}")
    answer = member.post(f"{url}/{first.id}/replay")
    again = Event.objects.exclude(id=first.id).get(tenant_id=tenant.id)
    assert answer["Location"] == f"{url}/{again.id}"
    run = Run.objects.get(workflow_id=version.workflow_id)
    assert run.event_id == again.id
    given = Payload.objects.get(owner_id=run.id, kind=PayloadKind.INPUT)
    assert json.loads(bytes(given.data)) == {"n": 1}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"key": " "}, "Give the event a key"),
        ({"key": "k" * 1001}, "at most 1000 characters"),
        ({"key": "a\0b"}, "no NUL"),
        ({"scope": "a\0b"}, "no NUL"),
        ({"input": "7"}, "must be a JSON object"),
        ({"input": '{"a": NaN}'}, "Not JSON"),
        ({"input": '{"a": "\\u0000"}'}, "NUL character"),
        ({"metadata": "nonsense"}, "not of the form key: value"),
        ({"priority": "0"}, "must be 1, 2 or 3"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_pushed(
    fields: dict[str, str], sentence: str, member: Client, tenant: Tenant, url: str
) -> None:
    answer = member.post(f"{url}/push", {"key": "user:created", "input": "{}"} | fields)
    assert answer.status_code == 422
    assert sentence in unescape(answer.content.decode())
    assert not Event.objects.filter(tenant_id=tenant.id).exists()


def test_viewers_are_offered_no_writes(viewer: Client, member: Client, url: str) -> None:
    assert "Push event" in page(member, url)
    assert "Push event" not in page(viewer, url)
