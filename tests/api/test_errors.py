"""Groups of failures over REST: listed, looked at, resolved, muted, assigned, and replayed by their id."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from engine.models import ErrorGroup, Run
from engine.operations.group_failures import group_failures
from engine.operations.work_bulk_actions import advance_bulk_action
from engine.states import ErrorState, Status
from engine.store import sync_db
from tests.api.client import ApiClient
from tests.api.factories import begin, fail, make_workflow, now, start_run, tasks_of
from tests.cast import Cast


class Errors:
    def __init__(self, cast: Cast, client: ApiClient) -> None:
        self.cast, self.client = cast, client
        self.path = f"/api/v1/stable/tenants/{cast.tenant.id}/errors"

    def failed(self, error: str) -> Run:
        run = start_run(self.cast.tenant)
        (task,) = tasks_of(run)
        begin(task)
        fail(task, error)
        sync_db.run(group_failures(now()))
        return run

    def rows(self, query: str = "") -> list[Any]:
        answer = self.client.get(f"{self.path}{query}")
        assert answer.status == 200, answer.content
        rows: list[Any] = answer.json["rows"]
        return rows


@pytest.fixture
def errors(cast: Cast, api: ApiClient) -> Errors:
    make_workflow(cast.tenant)
    return Errors(cast, api)


def test_failures_are_listed_by_what_is_the_same(errors: Errors) -> None:
    errors.failed("ValueError: bad 1")
    run = errors.failed("ValueError: bad 2")
    errors.failed("KeyError: 'x'")
    worse, bad = errors.rows()
    assert (worse["type"], worse["count"]) == ("KeyError", 1)
    assert (bad["message"], bad["count"], bad["finalCount"]) == ("bad <n>", 2, 2)
    assert (bad["latestRunId"], bad["latestAttempt"]) == (str(run.id), 1)
    assert (bad["state"], bad["actionId"]) == ("OPEN", "acts:greet")
    details = errors.client.get(f"{errors.path}/{bad['id']}").json
    assert [(one["name"], one["count"]) for one in details["versions"]] == [("version 1", 2)]


def test_pages_by_cursor_and_filters(errors: Errors) -> None:
    for letter in "ABC":
        errors.failed(f"{letter}: x")
    first = errors.client.get(f"{errors.path}?limit=2").json
    assert [row["type"] for row in first["rows"]] == ["C", "B"]
    second = errors.client.get(errors.path, {"limit": 2, "cursor": first["nextCursor"]}).json
    assert [row["type"] for row in second["rows"]] == ["A"]
    assert "nextCursor" not in second
    assert errors.rows(f"?workflow_ids={uuid4()}") == []
    assert errors.rows("?states=RESOLVED&states=MUTED") == []
    for wrong in ("cursor=x", "cursor=%00_%00", "states=nothing", "limit=0", "workflow_ids=x"):
        assert errors.client.get(f"{errors.path}?{wrong}").status == 400, wrong


def test_states_change_and_wrong_ones_do_not(errors: Errors) -> None:
    errors.failed("A: x")
    (row,) = errors.rows()
    path = f"{errors.path}/{row['id']}/state"
    answer = errors.client.post(path, {"state": "RESOLVED"}).json
    assert answer["state"] == "RESOLVED" and answer["resolvedAt"]
    errors.failed("A: x")
    (row,) = errors.rows("?states=OPEN")
    assert row["reopenedAt"]
    until = (now() + timedelta(hours=1)).isoformat()
    assert errors.client.post(path, {"state": "MUTED", "mutedUntil": until}).json["mutedUntil"]
    for wrong in (
        {},
        {"state": "GONE"},
        {"state": 1},
        {"state": "MUTED", "mutedUntil": "x"},
        {"state": "MUTED", "mutedUntil": (now() - timedelta(hours=1)).isoformat()},
        {"state": "OPEN", "mutedUntil": until},
    ):
        assert errors.client.post(path, wrong).status == 400, wrong
    assert ErrorGroup.objects.get(id=row["id"]).state == ErrorState.MUTED
    unknown = f"{errors.path}/{uuid4()}/state"
    assert errors.client.post(unknown, {"state": "OPEN"}).status == 404


def test_only_members_are_assigned(errors: Errors, cast: Cast) -> None:
    errors.failed("A: x")
    (row,) = errors.rows()
    path = f"{errors.path}/{row['id']}/assignee"
    assigned = errors.client.post(path, {"userId": str(cast.viewer.id)}).json
    assert assigned["assigneeEmail"] == cast.viewer.email
    for wrong, status in ((str(cast.stranger.id), 404), (str(uuid4()), 404), ("x", 400)):
        assert errors.client.post(path, {"userId": wrong}).status == status
    assert "assigneeId" not in errors.client.post(path, {}).json


def test_what_others_have_is_out_of_reach(errors: Errors, cast: Cast) -> None:
    errors.failed("A: x")
    (row,) = errors.rows()
    elsewhere = f"/api/v1/stable/tenants/{cast.other_tenant.id}/errors"
    assert errors.client.get(elsewhere).status in (403, 404)
    assert errors.client.get(f"{elsewhere}/{row['id']}").status in (403, 404)


def test_a_bulk_action_replays_the_runs_of_an_error(errors: Errors) -> None:
    bad, other = errors.failed("A: x"), errors.failed("B: x")
    row = errors.rows()[1]
    bulk = errors.path.replace("errors", "bulk-actions")
    wanted = {"since": (now() - timedelta(days=1)).isoformat(), "statuses": ["FAILED"]}
    body = {"action": "replay", "filter": wanted | {"errorGroupId": row["id"]}}
    staged = errors.client.post(bulk, body).json
    assert staged["total"] == 1
    assert staged["filter"]["errorGroupId"] == row["id"]
    assert [one["id"] for one in staged["sample"]] == [str(bad.id)]
    errors.client.post(f"{bulk}/{staged['metadata']['id']}/start")
    while sync_db.run(advance_bulk_action(staged["metadata"]["id"], now())):
        pass
    assert [Run.objects.get(id=run.id).status for run in (bad, other)] == [
        Status.QUEUED,
        Status.FAILED,
    ]
