"""Outgoing webhooks: the list, a new endpoint with its secret, and what was sent to it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tenants.models import Role, Tenant
from tests.dashboard import factories
from webhooks.encryption import decrypt
from webhooks.models import Dispatch, DispatchState, Endpoint

MAX_QUERIES = 6
SECRET = re.compile(r'value="(whsec_[A-Za-z0-9+/=]+)"')
ENTRY = {"at": "2026-11-30T12:00:00+00:00", "milliseconds": 7}


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/webhook-endpoints"


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def test_the_list_says_how_endpoints_are(
    viewer: Client,
    tenant: Tenant,
    url: str,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    assert "No endpoints yet" in page(viewer, url)
    for number in range(3):
        factories.send_test(factories.make_endpoint(tenant, f"https://example.com/{number}"))
    Endpoint.objects.filter(url__endswith="0").update(pause_reason="FAILING")
    Endpoint.objects.filter(url__endswith="1").update(failing_since=datetime.now(UTC))
    factories.make_endpoint(factories.make_tenant("Elsewhere"), "https://foreign.example/")
    with django_assert_max_num_queries(MAX_QUERIES):
        text = page(viewer, url)
    for words in ("Paused: it took nothing for days", "Failing", "Active"):
        assert words in text
    assert "foreign.example" not in text


def test_a_new_endpoint_shows_its_secret_once(owner: Client, tenant: Tenant, url: str) -> None:
    workflow = factories.make_version(tenant).workflow_id
    form = page(owner, f"{url}/new")
    assert 'value="run.failed"' in form.replace("\n", " ")
    fields = {
        "url": "https://example.com/hook",
        "description": "ours",
        "kind": ["run.failed", "worker.lost"],
        "workflow": [str(workflow)],
    }
    answer = owner.post(f"{url}/new", fields)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    found = SECRET.search(unescape(answer.content.decode()))
    assert found is not None
    made = Endpoint.objects.get()
    assert decrypt(bytes(made.secret)) == found[1]
    assert (made.kinds, made.workflow_ids) == (["run.failed", "worker.lost"], [workflow])
    shown = page(owner, f"{url}/{made.id}")
    assert "https://example.com/hook" in shown
    assert "whsec_" not in shown


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"url": ""}, "The URL must begin with https://"),
        ({"url": "http://127.0.0.1/"}, "leads to a private or local address"),
        ({"kind": []}, "Choose at least one of events"),
        ({"kind": ["run.exploded"]}, "Events must be some of"),
        ({"description": "x" * 501}, "at most 500 characters"),
        ({"description": "a\0b"}, "at most 500 characters"),
        (
            {"workflow": ["707d0855-80ab-4e1f-a156-f1c4546cbf52"]},
            "Workflows must be workflows of this tenant",
        ),
    ],
)
def test_what_is_wrong_is_said_and_kept_in_the_form(
    owner: Client, url: str, fields: dict[str, Any], sentence: str
) -> None:
    given = {"url": "https://example.com/typed", "kind": ["run.failed"]} | fields
    answer = owner.post(f"{url}/new", given)
    assert answer.status_code == 422
    text = unescape(answer.content.decode())
    assert sentence in text
    assert given["url"] in text
    assert not Endpoint.objects.exists()


def test_an_endpoint_is_changed_paused_and_deleted(
    owner: Client, member: Client, tenant: Tenant, url: str
) -> None:
    made = factories.make_endpoint(tenant)
    one = f"{url}/{made.id}"
    changed = {"url": "https://example.com/new", "kind": ["run.created"]}
    assert owner.post(f"{one}/change", changed).status_code == 302
    assert owner.post(f"{one}/change", changed | {"url": "ftp://x"}).status_code == 422
    made.refresh_from_db()
    assert (made.url, made.kinds) == ("https://example.com/new", ["run.created"])
    owner.post(f"{one}/pause", {"pause": "yes"})
    assert "Paused" in page(member, one)
    assert 'value="no"' in page(owner, one)
    owner.post(f"{one}/pause", {"pause": "no"})
    assert Endpoint.objects.get().pause_reason == ""
    secret = bytes(made.secret)
    rotated = owner.post(f"{one}/rotate")
    assert SECRET.search(unescape(rotated.content.decode()))
    made.refresh_from_db()
    assert bytes(made.previous_secret or b"") == secret != bytes(made.secret)
    assert "Delete this endpoint?" in page(owner, f"{one}/delete")
    owner.post(f"{one}/delete")
    assert not Endpoint.objects.exists()


def test_a_message_shows_its_attempts_and_is_sent_again(
    member: Client, tenant: Tenant, url: str
) -> None:
    made = factories.make_endpoint(tenant)
    answer = member.post(f"{url}/{made.id}/test")
    sent = Dispatch.objects.get()
    assert answer["Location"] == f"{url}/{made.id}/messages/{sent.id}"
    text = page(member, answer["Location"])
    assert "endpoint.test" in text
    assert "It works." in text
    entries = [
        ENTRY | {"status": 500, "error": "answered 500", "answer": "<b>oh no</b>"},
        ENTRY | {"status": None, "error": "no answer within 20 seconds", "answer": ""},
    ]
    Dispatch.objects.update(log=entries, state=DispatchState.FAILED, attempts=2, tries=10)
    text = page(member, f"{answer['Location']}/live")
    for words in ("<b>oh no</b>", "no answer within 20 seconds", "7 ms", "Given up"):
        assert words in text
    assert b"<b>oh no</b>" not in member.get(answer["Location"]).content
    assert "endpoint.test" in page(member, f"{url}/{made.id}?show=failed")
    assert "No such message" in page(member, f"{url}/{made.id}?show=waiting")
    member.post(f"{answer['Location']}/again")
    sent.refresh_from_db()
    assert (sent.state, sent.tries, sent.attempts) == ("PENDING", 0, 2)
    Dispatch.objects.update(state=DispatchState.FAILED)
    member.post(f"{url}/{made.id}/again")
    sent.refresh_from_db()
    assert sent.state == DispatchState.PENDING


def test_who_may_not_see_payloads_sees_no_bodies(tenant: Tenant, url: str) -> None:
    made = factories.make_endpoint(tenant)
    sent = factories.send_test(made)
    user = factories.make_member(tenant, Role.MEMBER, can_view_payloads=False)
    client = Client()
    client.force_login(user)
    text = page(client, f"{url}/{made.id}/messages/{sent.id}")
    assert "It works." not in text
    assert "Hidden" in text


def test_messages_of_other_endpoints_are_not_found(owner: Client, tenant: Tenant, url: str) -> None:
    one, other = factories.make_endpoint(tenant), factories.make_endpoint(tenant)
    sent = factories.send_test(other)
    assert owner.get(f"{url}/{one.id}/messages/{sent.id}").status_code == 404
    assert owner.get(f"{url}/{sent.id}").status_code == 404
