"""Filters: the list, a new one, trying it out, changing, deleting."""

from __future__ import annotations

from html import unescape

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from engine.models import Filter, WorkflowVersion
from tenants.models import Role, Tenant
from tests.dashboard import factories

MAX_QUERIES = 6


@pytest.fixture
def version(tenant: Tenant) -> WorkflowVersion:
    return factories.make_version(tenant, "orders")


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/filters"


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def post(client: Client, url: str, **fields: str) -> tuple[int, str]:
    data = {"scope": "eu", "expression": "input.n > payload.least", "payload": '{"least": 3}'}
    answer = client.post(url, data | fields)
    return answer.status_code, unescape(answer.content.decode())


def test_the_list_is_narrowed_by_workflow_and_scope(
    viewer: Client,
    tenant: Tenant,
    url: str,
    version: WorkflowVersion,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for scope in ("eu", "us", "asia"):
        factories.make_filter(version, f"input.{scope} == 1.0", scope)
    other = factories.make_version(tenant, "other")
    factories.make_filter(other, "input.other == 1.0")
    elsewhere = factories.make_version(factories.make_tenant("Elsewhere"), "foreign")
    factories.make_filter(elsewhere, "input.foreign == 1.0")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    assert "input.us == 1.0" in text
    assert "foreign" not in text
    narrowed = page(viewer, f"{url}?workflow={version.workflow_id}&scope=eu")
    assert "input.eu == 1.0" in narrowed
    assert "input.us" not in narrowed
    assert "input.other" not in narrowed
    assert "No filter here" in page(viewer, f"{url}?scope=%00mars")


def test_a_filter_is_made(member: Client, url: str, version: WorkflowVersion) -> None:
    status, _ = post(member, f"{url}/new", workflow=str(version.workflow_id))
    assert status == 302
    made = Filter.objects.get(workflow=version.workflow)
    assert (made.scope, made.expression) == ("eu", "input.n > payload.least")
    assert (bytes(made.payload), made.is_declared) == (b'{"least": 3}', False)
    status, text = post(member, f"{url}/new", workflow=str(version.workflow_id))
    assert status == 422
    assert "already" in text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scope": ""}, "A scope has 1 to 1000 characters"),
        ({"scope": "s" * 1001}, "A scope has 1 to 1000 characters"),
        ({"expression": ""}, "Write a CEL expression"),
        ({"expression": "input.n >"}, "expression:"),
        ({"expression": "'text'"}, "must come to a bool"),
        ({"expression": "unknown.n == 1"}, "undeclared reference"),
        ({"expression": "x" * 8001}, "longer than 8000"),
        ({"payload": "[1]"}, "must be a JSON object"),
        ({"payload": "{"}, "Not JSON"),
        ({"payload": '{"a": "\\ud800"}'}, "surrogate pair"),
        ({"workflow": ""}, "Choose a workflow."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(
    fields: dict[str, str], sentence: str, member: Client, url: str, version: WorkflowVersion
) -> None:
    status, text = post(member, f"{url}/new", **{"workflow": str(version.workflow_id)} | fields)
    assert status == 422
    assert sentence in text
    assert not Filter.objects.filter(workflow=version.workflow).exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sample": '{"n": 4}'}, "True: this event starts a run."),
        ({"sample": '{"n": 2}'}, "False: this event starts nothing."),
        ({"sample": "{}"}, "No run: no such key"),
        ({"sample": '{"n": 4}', "expression": "input.n"}, "neither true nor false"),
        ({"expression": "input.n >"}, "No run: expression:"),
        ({"sample": "[]"}, "must be a JSON object"),
        ({"sample_metadata": "x"}, "Not JSON"),
        (
            {
                "expression": "event_key == 'k' && additional_metadata.a == 'b'",
                "sample_key": "k",
                "sample_metadata": '{"a": "b"}',
            },
            "True: this event starts a run.",
        ),
    ],
)
def test_an_expression_is_tried_out_without_storing_anything(
    fields: dict[str, str], sentence: str, member: Client, url: str, version: WorkflowVersion
) -> None:
    status, text = post(member, f"{url}/new", **{"try": "1"} | fields)
    assert status == 200
    assert sentence in text
    made = factories.make_filter(version)
    status, text = post(member, f"{url}/{made.id}", **fields)
    assert status == 200
    assert sentence in text
    assert Filter.objects.get(workflow=version.workflow).expression == "true"


def test_viewers_may_try_but_not_write(
    viewer: Client, member: Client, url: str, version: WorkflowVersion
) -> None:
    made = factories.make_filter(version)
    status, text = post(viewer, f"{url}/{made.id}", sample='{"n": 4}')
    assert (status, "True: this event" in text) == (200, True)
    assert "New filter" not in page(viewer, url)
    for words in ("Save", "Delete…"):
        assert words in page(member, f"{url}/{made.id}")
        assert words not in page(viewer, f"{url}/{made.id}")


def test_a_filter_is_changed(member: Client, url: str, version: WorkflowVersion) -> None:
    made = factories.make_filter(version)
    assert post(member, f"{url}/{made.id}/change", scope="us")[0] == 302
    made.refresh_from_db()
    assert (made.scope, made.expression) == ("us", "input.n > payload.least")
    status, text = post(member, f"{url}/{made.id}/change", expression="input.n >")
    assert (status, "expression:" in text) == (422, True)
    other = factories.make_filter(version, "false", "asia")
    status, text = post(
        member, f"{url}/{made.id}/change", scope="asia", expression="false", payload="{}"
    )
    assert (status, "already" in text) == (422, True)
    assert Filter.objects.get(id=other.id).expression == "false"
    made.refresh_from_db()
    assert made.scope == "us"


def test_who_may_not_see_payloads_does_not_replace_them_either(
    tenant: Tenant, url: str, version: WorkflowVersion
) -> None:
    made = factories.make_filter(version, payload=b'{"least":3,"key":"hunter2"}')
    client = Client()
    client.force_login(factories.make_member(tenant, Role.MEMBER, can_view_payloads=False))
    assert "hunter2" not in page(client, f"{url}/{made.id}")
    status, text = post(client, f"{url}/{made.id}", payload="{}", sample='{"n": 4}')
    assert (status, "True: this event" in text, "hunter2" in text) == (200, True, False)
    assert post(client, f"{url}/{made.id}/change", payload="{}")[0] == 302
    made.refresh_from_db()
    assert bytes(made.payload) == b'{"least":3,"key":"hunter2"}'


def test_deleting_asks_first(member: Client, url: str, version: WorkflowVersion) -> None:
    made = factories.make_filter(version)
    assert "Delete this filter" in page(member, f"{url}/{made.id}/delete")
    assert Filter.objects.filter(id=made.id).exists()
    assert member.post(f"{url}/{made.id}/delete").status_code == 302
    assert not Filter.objects.filter(id=made.id).exists()
