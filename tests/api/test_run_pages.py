"""Runs a page at a time: each begins where the one before it ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.api.client import ApiClient
from tests.api.factories import complete, make_workflow, now, start_run, step, tasks_of
from tests.cast import Cast

SINCE = (now() - timedelta(days=1)).isoformat()


class Pages:
    def __init__(self, cast: Cast, api: ApiClient) -> None:
        self.path = f"/api/v1/stable/tenants/{cast.tenant.id}/runs"
        self.api = api

    def page(self, **query: Any) -> Any:
        answer = self.api.get(self.path, {"since": SINCE} | query)
        assert answer.status == 200, answer.content
        return answer.json

    def following(self, page: Any, **query: Any) -> Any:
        return self.page(cursor=page["nextCursor"], **query)


def ids(page: Any) -> list[str]:
    return [row["metadata"]["id"] for row in page["rows"]]


@pytest.fixture
def pages(cast: Cast, api: ApiClient) -> Pages:
    make_workflow(cast.tenant)
    return Pages(cast, api)


def test_pages_hold_every_run_once_whatever_is_made_meanwhile(cast: Cast, pages: Pages) -> None:
    made = [str(start_run(cast.tenant).id) for _ in range(5)][::-1]
    first = pages.page(limit=2)
    start_run(cast.tenant)
    second = pages.following(first, limit=2)
    third = pages.following(second, limit=2)
    assert ids(first) + ids(second) + ids(third) == made
    assert "nextCursor" not in third


def test_a_page_that_ends_with_the_last_run_has_none_after_it(cast: Cast, pages: Pages) -> None:
    start_run(cast.tenant)
    assert "nextCursor" not in pages.page(limit=1)
    assert pages.page(cursor="00000000-0000-0000-0000-000000000000") == {"rows": []}


def test_the_filters_of_the_list_apply_to_every_page(cast: Cast, pages: Pages) -> None:
    wanted = []
    for number in range(6):
        run = start_run(cast.tenant, metadata={"odd": str(number % 2)})
        if number % 2:
            wanted.append(str(run.id))
    first = pages.page(limit=2, additional_metadata="odd:1")
    second = pages.following(first, limit=2, additional_metadata="odd:1")
    assert ids(first) + ids(second) == wanted[::-1]
    assert pages.page(statuses="COMPLETED")["rows"] == []


def test_tasks_have_pages_too(cast: Cast, pages: Pages) -> None:
    make_workflow(cast.tenant, "dag", step("one"), step("two", "one"), step("three"))
    run = start_run(cast.tenant, "dag")
    made = sorted((str(task.id) for task in tasks_of(run)), reverse=True)
    first = pages.page(limit=1, only_tasks="true")
    second = pages.following(first, limit=1, only_tasks="true")
    assert ids(first) + ids(second) == made
    assert ids(pages.page()) == [str(run.id)]


def test_payloads_come_when_they_are_asked_for(cast: Cast, pages: Pages) -> None:
    complete(tasks_of(start_run(cast.tenant, value={"who": "x"}))[0], {"n": 1})
    (lean,) = pages.page()["rows"]
    (whole,) = pages.page(include_payloads="true")["rows"]
    assert (lean["input"], lean["output"]) == ({}, {})
    assert (whole["input"], whole["output"]) == ({"who": "x"}, {"n": 1})


def test_another_tenants_runs_are_on_no_page(cast: Cast, pages: Pages) -> None:
    make_workflow(cast.other_tenant)
    start_run(cast.other_tenant)
    theirs = start_run(cast.other_tenant)
    assert pages.page()["rows"] == []
    assert pages.page(cursor=str(theirs.id))["rows"] == []


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 501}, {"cursor": "x"}, {"since": "x"}, {"worker_id": "1"}],
    ids=str,
)
def test_a_wrong_question_is_refused(pages: Pages, query: dict[str, Any]) -> None:
    answer = pages.api.get(pages.path, {"since": SINCE} | query)
    assert answer.status == 400
    assert answer.error
    assert pages.api.get(pages.path).status == 400
    assert pages.api.get(pages.path, {"since": SINCE, "worker_id": str(uuid4())}).status == 400
