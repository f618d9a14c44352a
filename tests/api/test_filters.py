"""Filters over REST."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from engine.domain.definition import DefaultFilter
from engine.models import Filter
from tests.api.client import ApiClient
from tests.api.factories import make_workflow, push_event
from tests.api.load import failures_of
from tests.cast import Cast


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/stable/tenants/{cast.tenant.id}/filters"


@pytest.fixture
def workflow_id(cast: Cast) -> str:
    return str(make_workflow(cast.tenant, event_triggers=("order:paid",)).workflow_id)


@pytest.fixture
def body(workflow_id: str) -> dict[str, Any]:
    return {
        "workflowId": workflow_id,
        "expression": "input.n > payload.least",
        "scope": "orders",
        "payload": {"least": 1},
    }


@pytest.fixture
def made(api: ApiClient, path: str, body: dict[str, Any]) -> Any:
    answer = api.post(path, body)
    assert answer.status == 200
    return answer.json


def test_a_filter_made_by_a_client(
    api: ApiClient, path: str, body: dict[str, Any], made: Any
) -> None:
    assert {key: made[key] for key in body} == body
    assert made["isDeclarative"] is False
    one = f"{path}/{made['metadata']['id']}"
    assert api.get(one).json == made
    listed = api.get(path).json
    assert listed["rows"] == [made]
    changed = api.patch(one, {"expression": "true"}).json
    assert (changed["expression"], changed["scope"]) == ("true", "orders")
    assert changed["payload"] == {"least": 1}
    assert api.patch(one, {"scope": "other", "payload": {}}).json["payload"] == {}
    deleted = api.delete(one)
    assert (deleted.status, deleted.json["scope"]) == (200, "other")
    assert api.get(one).status == 404
    loaded = [["one", "V1Filter", made], ["all", "V1FilterList", listed]]
    assert failures_of([*loaded, ["deleted", "V1Filter", deleted.json]]) == {}


def test_an_event_names_the_filter_that_let_it_pass(
    cast: Cast, api: ApiClient, path: str, made: Any
) -> None:
    for n in (1, 2):
        push_event(cast.tenant, "order:paid", {"n": n}, scope="orders")
    events = api.get(path.replace("/filters", "/events")).json
    assert failures_of([["events", "V1EventList", events]]) == {}
    passed, stopped = (row["triggeredRuns"] for row in events["rows"])
    assert [run["filterId"] for run in passed] == [made["metadata"]["id"]]
    assert stopped == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"expression": "input.n >"}, 400),
        ({"expression": "'text'"}, 400),
        ({"expression": ""}, 400),
        ({"expression": "x" * 9_000}, 400),
        ({"scope": ""}, 400),
        ({"scope": "x" * 1_001}, 400),
        ({"payload": []}, 400),
        ({"payload": "x"}, 400),
        ({"workflowId": "x"}, 400),
        ({"workflowId": str(uuid4())}, 404),
        ({"payload": {"least": 1}}, 400),
    ],
)
def test_a_wrong_or_repeated_filter_is_refused(
    api: ApiClient,
    path: str,
    body: dict[str, Any],
    made: Any,
    change: dict[str, Any],
    status: int,
) -> None:
    answer = api.post(path, body | change)
    assert (answer.status, bool(answer.error)) == (status, True)
    assert Filter.objects.count() == 1


def test_a_wrong_change_is_refused(
    api: ApiClient, path: str, body: dict[str, Any], made: Any
) -> None:
    other = api.post(path, body | {"scope": "other"}).json
    one = f"{path}/{other['metadata']['id']}"
    for change in ({"expression": "1 +"}, {"scope": "orders"}, {"payload": 1}):
        assert api.patch(one, change).status == 400
    assert api.get(one).json == other
    assert api.patch(one, {}).status == 200


def test_lists_are_narrowed(cast: Cast, api: ApiClient, path: str, made: Any) -> None:
    declared = (DefaultFilter("true", "b"), DefaultFilter("true", "c"))
    other = make_workflow(cast.tenant, "other", default_filters=declared).workflow_id
    make_workflow(cast.other_tenant, "theirs", default_filters=declared)
    for query, scopes in (
        ({}, {"orders", "b", "c"}),
        ({"workflowIds": other}, {"b", "c"}),
        ({"scopes": ["orders", "b"]}, {"orders", "b"}),
        ({"workflowIds": other, "scopes": "orders"}, set()),
    ):
        rows = api.get(path, query).json["rows"]
        assert {row["scope"] for row in rows} == scopes
        assert all(row["isDeclarative"] is (row["scope"] != "orders") for row in rows)
    assert len(api.get(path, {"limit": 1, "offset": 1}).json["rows"]) == 1


def test_filters_of_another_tenant_are_not_found(cast: Cast, api: ApiClient, path: str) -> None:
    make_workflow(cast.other_tenant, default_filters=(DefaultFilter("true", "a"),))
    one = f"{path}/{Filter.objects.get().id}"
    assert {api.get(one).status, api.patch(one, {}).status, api.delete(one).status} == {404}
