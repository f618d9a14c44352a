"""Starting a run by hand: fields from the schema, JSON, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db.models import QuerySet
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from engine.models import Payload, Run, Task, WorkflowVersion
from engine.states import PayloadKind, Status
from tenants.models import Tenant
from tests.dashboard import factories

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["customer", "amount"],
    "properties": {
        "customer": {"type": "string", "title": "Customer", "description": "Who pays"},
        "amount": {"type": "integer", "minimum": 1, "default": 10},
        "ratio": {"type": "number"},
        "express": {"type": "boolean"},
        "currency": {"enum": ["EUR", "USD", 1]},
        "address": {"$ref": "#/$defs/Address"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    },
    "$defs": {
        "Address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "zip/code": {"type": "string"}},
            "required": ["street"],
        }
    },
}


@pytest.fixture
def version(tenant: Tenant) -> WorkflowVersion:
    return factories.make_version(tenant, "order", schema=SCHEMA)


@pytest.fixture
def url(tenant: Tenant) -> str:
    return f"/t/{tenant.slug}/trigger"


def post(client: Client, url: str, version: WorkflowVersion, **fields: str) -> HttpResponse:
    data = {"workflow": str(version.workflow_id)} | fields
    answer = client.post(url, data)
    assert isinstance(answer, HttpResponse)
    return answer


def fields(**values: str) -> dict[str, str]:
    return {f"f/{name}": value for name, value in values.items()}


def runs_in(url: str) -> QuerySet[Run]:
    """Runs of the page's own tenant: other tests commit theirs."""
    tenant = Tenant.objects.get(slug=url.split("/")[2])
    return Run.objects.filter(tenant_id=tenant.id)


def started_input(run: Run) -> bytes:
    return bytes(Payload.objects.get(owner_id=run.id, kind=PayloadKind.INPUT).data)


def refused(answer: HttpResponse, sentence: str, url: str) -> None:
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not runs_in(url).exists()


def test_the_form_has_a_field_for_each_property(
    member: Client,
    url: str,
    version: WorkflowVersion,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_max_num_queries(6):
        text = member.get(f"{url}?workflow={version.workflow_id}").content.decode()
    for name in ("customer", "amount", "ratio", "express", "currency", "tags", "note"):
        assert f'name="f/{name}"' in text
    assert 'name="f/address/street"' in text
    assert 'name="f/address/zip~1code"' in text
    assert "Who pays" in text
    assert 'value="10"' in text


def test_a_filled_form_starts_the_run(
    member: Client, url: str, version: WorkflowVersion, tenant: Tenant
) -> None:
    filled = fields(
        customer="Ana",
        amount="12",
        ratio="0.5",
        express="true",
        currency='"USD"',
        tags='["a"]',
        note="",
    ) | {"f/address/street": "Main St", "f/address/zip~1code": "12345"}
    answer = post(
        member, url, version, metadata="customer: 42\nenv: prod: eu", priority="3", **filled
    )
    run = runs_in(url).get()
    assert answer.status_code == 302
    assert answer["Location"] == f"/t/{tenant.slug}/runs/{run.id}"
    assert json.loads(started_input(run)) == {
        "customer": "Ana",
        "amount": 12,
        "ratio": 0.5,
        "express": True,
        "currency": "USD",
        "tags": ["a"],
        "address": {"street": "Main St", "zip/code": "12345"},
    }
    assert run.additional_metadata == {"customer": "42", "env": "prod: eu"}
    assert (run.status, run.priority, run.version_id) == (Status.QUEUED, 3, version.id)
    assert Task.objects.get(run_id=run.id).id == run.id


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"f/amount": "a lot"}, "Must be a whole number."),
        ({"f/amount": "0"}, "0 is less than the minimum of 1"),
        ({"f/amount": ""}, "Required."),
        ({"f/ratio": "NaN"}, "Must be a number."),
        ({"f/express": "maybe"}, "Must be yes or no."),
        ({"f/currency": '"GBP"'}, "Choose one of the list."),
        ({"f/tags": "[1"}, "This is not JSON."),
        ({"f/tags": "[1]"}, "1 is not of type"),
        ({"f/customer": "nul \0"}, "NUL character"),
        ({"metadata": "no colon"}, "Line 1 is not of the form key: value."),
        ({"metadata": "a: \0"}, "NUL character"),
        ({"priority": "9"}, "The priority must be 1, 2 or 3."),
    ],
)
def test_what_the_schema_or_the_store_refuses_is_said_and_kept(
    changed: dict[str, str], sentence: str, member: Client, url: str, version: WorkflowVersion
) -> None:
    answer = post(member, url, version, **(fields(customer="Ana Gram", amount="3") | changed))
    refused(answer, sentence, url)
    if "f/customer" not in changed:
        assert 'value="Ana Gram"' in answer.content.decode()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "line 1, column 2"),
        ("[1]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ("", "Not JSON"),
        ('{"a": NaN}', "Not JSON"),
        ('{"a": "\\u0000"}', "NUL character"),
        ('{"a\\u0000": 1}', "NUL character"),
        ("[" * 100_000, "Not JSON"),
        ('{"a": ' + "9" * 6000 + "}", "Not JSON"),
        ('{"a": "' + "x" * (4 * 1024 * 1024) + '"}', "at most 4,194,304"),
    ],
)
def test_raw_json_that_cannot_be_an_input_is_refused(
    text: str, sentence: str, member: Client, url: str, tenant: Tenant, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
    free = factories.make_version(tenant, "free")
    refused(post(member, url, free, mode="raw", input=text), sentence, url)


def test_raw_json_is_stored_as_it_was_typed(member: Client, url: str, tenant: Tenant) -> None:
    free = factories.make_version(tenant, "free")
    typed = '{"n": 1.10, "big": 123456789012345678901234567890, "ü": "\\ud83d\\ude00"}'
    assert post(member, url, free, mode="raw", input=typed).status_code == 302
    assert started_input(runs_in(url).get()).decode() == typed


def test_switching_between_fields_and_json_keeps_what_was_typed(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    filled = fields(customer="Ana", amount="7")
    answer = post(member, url, version, switch="1", metadata="a: b", **filled)
    text = answer.content.decode()
    assert "&quot;customer&quot;: &quot;Ana&quot;" in text
    assert "a: b" in text
    back = post(
        member, url, version, switch="1", mode="raw", input='{"customer": "Bo", "amount": 8}'
    ).content.decode()
    assert 'value="Bo"' in back
    assert 'value="8"' in back
    assert not runs_in(url).exists()


def test_a_run_can_be_started_again_from_its_input(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    run = factories.make_run(version, given=b'{"customer": "Zoe", "amount": 99}')
    text = member.get(f"{url}?workflow={version.workflow_id}&from={run.id}").content.decode()
    assert 'value="Zoe"' in text
    assert 'value="99"' in text


def test_an_input_of_another_tenant_is_not_taken(
    member: Client, url: str, version: WorkflowVersion
) -> None:
    elsewhere = factories.make_version(factories.make_tenant("Other"), "order")
    run = factories.make_run(elsewhere, given=b'{"customer": "Secret Zoe"}')
    for wanted in (str(run.id), "nonsense"):
        text = member.get(f"{url}?workflow={version.workflow_id}&from={wanted}").content.decode()
        assert "Secret Zoe" not in text


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x.json"}}},
        {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"$ref": "#/$defs/a"}},
        },
        {"type": "object", "properties": {"a": 5}},
        {"type": "object", "properties": ["a"]},
        {"type": "nonsense", "properties": {"a": {"type": "string"}}},
        {"properties": {"a": {"enum": "abc", "default": {"x": 1}, "title": ["<b>"]}}},
        {"$schema": "http://example.org/unknown", "properties": {"a": {"maxLength": "x"}}},
    ],
)
def test_a_broken_schema_neither_breaks_the_page_nor_fetches_anything(
    schema: dict[str, Any], member: Client, url: str, tenant: Tenant
) -> None:
    version = factories.make_version(tenant, "odd", schema=schema)
    assert member.get(f"{url}?workflow={version.workflow_id}").status_code == 200
    answer = post(member, url, version, mode="raw", input='{"a": "x"}')
    assert answer.status_code in {302, 422}


def test_the_workflow_must_exist_here(member: Client, url: str, version: WorkflowVersion) -> None:
    elsewhere = factories.make_version(factories.make_tenant("Other"), "order")
    assert post(member, url, elsewhere, input="{}").status_code == 404
    assert member.get(f"{url}?workflow=nonsense").status_code == 404
    answer = member.post(url, {"input": "{}"})
    assert answer.status_code == 422
    assert "Choose a workflow." in answer.content.decode()
