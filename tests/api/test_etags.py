"""An answer that the caller has already is not sent again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from tests.api.client import ApiClient
from tests.api.factories import make_workflow, now, push_event, start_run
from tests.cast import Cast

SINCE = (now() - timedelta(days=1)).isoformat()
LISTS = (
    "workflow-runs?only_tasks=false&",
    "runs?",
    "events?",
    "filters?",
    "logs?",
    "bulk-actions?",
)


@pytest.fixture
def base(cast: Cast) -> str:
    make_workflow(cast.tenant)
    start_run(cast.tenant)
    push_event(cast.tenant, "a")
    return f"/api/v1/stable/tenants/{cast.tenant.id}"


@pytest.mark.parametrize("path", LISTS)
def test_a_list_that_has_not_changed_is_not_sent_again(
    api: ApiClient, base: str, path: str
) -> None:
    first = api.get(f"{base}/{path}since={SINCE.replace('+', '%2B')}")
    name = first.headers["ETag"]
    assert (first.status, name[:3]) == (200, 'W/"')
    again = api.get(
        f"{base}/{path}since={SINCE.replace('+', '%2B')}", None, **{"If-None-Match": name}
    )
    assert (again.status, again.content) == (304, b"")
    assert again.headers["ETag"] == name
    assert again.headers["Access-Control-Allow-Origin"] == "*"


def test_a_list_that_has_changed_is_sent(api: ApiClient, base: str, cast: Cast) -> None:
    path = f"{base}/runs?since={SINCE.replace('+', '%2B')}"
    old = api.get(path).headers["ETag"]
    start_run(cast.tenant)
    answer = api.get(path, None, **{"If-None-Match": old})
    assert answer.status == 200
    assert answer.headers["ETag"] != old
    assert len(answer.json["rows"]) == 2


def test_one_of_several_names_is_enough(api: ApiClient, base: str) -> None:
    name = api.get(f"{base}/filters").headers["ETag"]
    strong = name.removeprefix("W/")
    for known in (f'"a", {name}', strong, "*"):
        assert api.get(f"{base}/filters", None, **{"If-None-Match": known}).status == 304
    for known in ('"a"', "a", "", 'W/"', "\\0"):
        assert api.get(f"{base}/filters", None, **{"If-None-Match": known}).status == 200


def test_a_name_opens_no_door(base: str, api: ApiClient) -> None:
    name = api.get(f"{base}/filters").headers["ETag"]
    assert ApiClient().get(f"{base}/filters", None, **{"If-None-Match": name}).status == 403
    assert Client().get(f"{base}/filters", headers={"If-None-Match": "*"}).status_code == 403


def test_what_is_refused_or_changed_has_no_name(base: str, api: ApiClient) -> None:
    assert "ETag" not in api.get(f"{base}/runs").headers
    assert "ETag" not in api.post(f"{base}/cel/debug", {"expression": "true", "input": {}}).headers
