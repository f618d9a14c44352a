"""All selected runs as lines of JSON, read and sent a few at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from engine.api import run_export
from engine.api.runs import run_rows
from engine.models import Run
from tenants.models import Member
from tenants.rest import streaming
from tenants.tokens import create_token
from tests.api.client import ApiClient
from tests.api.factories import complete, make_workflow, now, start_run, step, tasks_of
from tests.api.load import failures_of
from tests.cast import Cast

SINCE = (now() - timedelta(days=1)).isoformat()


@pytest.fixture
def path(cast: Cast) -> str:
    make_workflow(cast.tenant)
    return f"/api/v1/stable/tenants/{cast.tenant.id}/runs/export"


@pytest.fixture(autouse=True)
def every_place_is_given_back() -> Iterator[None]:
    yield
    places = [streaming._places.acquire(blocking=False) for _ in range(streaming.MOST_AT_ONCE)]
    assert all(places)
    for _ in places:
        streaming._places.release()


def ids(lines: list[Any]) -> list[str]:
    return [line["metadata"]["id"] for line in lines]


def test_every_selected_run_is_a_line(
    cast: Cast, api: ApiClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_export, "RUNS_AT_A_TIME", 2)
    make_workflow(cast.tenant, "dag", step("one"), step("two"))
    made = [start_run(cast.tenant, value={"n": n}) for n in range(4)]
    made.append(start_run(cast.tenant, "dag"))
    complete(tasks_of(made[0])[0], {"answer": 42})
    answer = api.get(path, {"since": SINCE})
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert ids(answer.lines) == [str(run.id) for run in made[::-1]]
    assert answer.lines[-1]["output"] == {"answer": 42}
    assert answer.lines[-1]["input"] == {"n": 0}
    assert len(answer.lines[0]["children"]) == 2
    failures = failures_of([[line["displayName"], "V1TaskSummary", line] for line in answer.lines])
    assert failures == {}
    filtered = api.get(path, {"since": SINCE, "statuses": "COMPLETED"})
    assert ids(filtered.lines) == [str(made[0].id)]
    assert api.get(path, {"since": SINCE, "statuses": "FAILED"}).content == b""


def test_a_line_is_read_only_when_the_ones_before_it_were_sent(
    cast: Cast, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_export, "RUNS_AT_A_TIME", 1)
    for _ in range(3):
        start_run(cast.tenant)
    token = create_token(cast.tenant, "export")[1]
    headers = {"Authorization": f"Bearer {token}"}
    response: Any = Client().get(path, {"since": SINCE}, headers=headers)
    parts = iter(response.streaming_content)
    next(parts)
    with CaptureQueriesContext(connection) as read:
        next(parts)
    assert 0 < len(read) < 10
    response.close()


def test_payloads_are_for_who_may_see_them(cast: Cast, api: ApiClient, path: str) -> None:
    start_run(cast.tenant, value={"who": "secret"})
    Member.objects.filter(user=cast.member).update(can_view_payloads=False)
    restricted = ApiClient(user=cast.member).get(path, {"since": SINCE})
    assert b"secret" not in restricted.content
    assert restricted.lines[0]["payloadsRestricted"] is True
    lean = api.get(path, {"since": SINCE, "include_payloads": "false"})
    assert b"secret" not in lean.content
    assert b"secret" in api.get(path, {"since": SINCE}).content


def test_another_tenants_runs_are_not_exported(cast: Cast, api: ApiClient, path: str) -> None:
    make_workflow(cast.other_tenant)
    start_run(cast.other_tenant)
    assert api.get(path, {"since": SINCE}).content == b""


def test_a_failure_in_the_middle_is_said_in_the_last_line(
    cast: Cast, path: str, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_export, "RUNS_AT_A_TIME", 1)
    for _ in range(2):
        start_run(cast.tenant)
    calls: list[int] = []

    def fail_later(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("broken")
        return run_rows(*args, **kwargs)

    monkeypatch.setattr(run_export, "run_rows", fail_later)
    token = create_token(cast.tenant, "export")[1]
    headers = {"Authorization": f"Bearer {token}"}
    response: Any = Client().get(path, {"since": SINCE}, headers=headers)
    first, last = map(json.loads, response.getvalue().splitlines())
    assert "metadata" in first
    assert last["errors"][0]["code"] == 500
    response.close()


def test_only_so_many_are_sent_at_once(cast: Cast, api: ApiClient, path: str) -> None:
    start_run(cast.tenant)
    for _ in range(streaming.MOST_AT_ONCE):
        assert streaming._places.acquire(blocking=False)
    refused = api.get(path, {"since": SINCE})
    for _ in range(streaming.MOST_AT_ONCE):
        streaming._places.release()
    assert refused.status == 429
    assert api.get(path, {"since": SINCE}).status == 200


@pytest.mark.parametrize("query", [{}, {"since": "x"}, {"since": SINCE, "statuses": "LOST"}])
def test_a_wrong_question_is_refused(api: ApiClient, path: str, query: dict[str, str]) -> None:
    assert api.get(path, query).status == 400
    assert Run.objects.count() == 0


def test_a_server_that_does_not_wait_gets_the_same_lines(
    cast: Cast, api: ApiClient, path: str
) -> None:
    for _ in range(2):
        start_run(cast.tenant)
    token = create_token(cast.tenant, "export")[1]

    async def fetch() -> bytes:
        asked = {"since": SINCE}
        headers = {"Authorization": f"Bearer {token}"}
        response: Any = await AsyncClient().get(path, asked, headers=headers)
        assert response.is_async
        return b"".join([part async for part in response.streaming_content])

    assert async_to_sync(fetch)() == api.get(path, {"since": SINCE}).content
