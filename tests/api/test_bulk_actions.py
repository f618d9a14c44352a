"""Bulk actions over REST: staged, looked at, started, stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from engine.models import BulkAction, Run
from engine.operations.work_bulk_actions import advance_bulk_action
from engine.states import Status
from engine.store import sync_db
from tests.api.client import Answer, ApiClient
from tests.api.factories import complete, make_workflow, now, start_run, tasks_of
from tests.cast import Cast

SINCE = (now() - timedelta(days=1)).isoformat()


class Bulk:
    def __init__(self, cast: Cast, client: ApiClient) -> None:
        self.path = f"/api/v1/stable/tenants/{cast.tenant.id}/bulk-actions"
        self.client = client

    def post(self, action: str = "cancel", **filters: Any) -> Answer:
        return self.client.post(self.path, {"action": action, "filter": {"since": SINCE} | filters})

    def stage(self, action: str = "cancel", **filters: Any) -> Any:
        answer = self.post(action, **filters)
        assert answer.status == 200, answer.content
        return answer.json

    def change(self, staged: Any, word: str) -> Answer:
        return self.client.post(f"{self.path}/{staged['metadata']['id']}/{word}")

    def get(self, staged: Any) -> Any:
        return self.client.get(f"{self.path}/{staged['metadata']['id']}").json


def work(staged: Any) -> None:
    while sync_db.run(advance_bulk_action(staged["metadata"]["id"], now())):
        pass


@pytest.fixture
def bulk(cast: Cast, api: ApiClient) -> Bulk:
    make_workflow(cast.tenant)
    return Bulk(cast, api)


def test_an_action_is_staged_with_what_it_would_come_to(cast: Cast, bulk: Bulk) -> None:
    runs = [start_run(cast.tenant, metadata={"team": "a"}) for _ in range(12)]
    start_run(cast.tenant)
    staged = bulk.stage(additionalMetadata=["team:a"], statuses=["QUEUED"])
    assert (staged["action"], staged["state"], staged["total"]) == ("cancel", "STAGED", 12)
    assert [one["id"] for one in staged["sample"]] == [str(run.id) for run in runs[:1:-1]]
    assert staged["sample"][0]["displayName"].startswith("greet-")
    assert staged["filter"]["additionalMetadata"] == ["team:a"]
    assert staged["filter"]["statuses"] == ["QUEUED"]
    assert bulk.get(staged) == staged
    assert not Run.objects.filter(status=Status.CANCELLED).exists()


def test_a_started_action_is_worked_off_and_tells_how_far(cast: Cast, bulk: Bulk) -> None:
    runs = [start_run(cast.tenant) for _ in range(3)]
    staged = bulk.stage()
    late = start_run(cast.tenant)
    started = bulk.change(staged, "start").json
    assert (started["state"], started["done"]) == ("RUNNING", 0)
    work(staged)
    done = bulk.get(staged)
    assert (done["state"], done["done"], done["changed"]) == ("COMPLETED", 3, 3)
    assert done["sample"] == [] and done["finishedAt"]
    cancelled = set(Run.objects.filter(status=Status.CANCELLED).values_list("id", flat=True))
    assert cancelled == {run.id for run in runs}
    assert Run.objects.get(id=late.id).status == Status.QUEUED


def test_a_replay_replays_what_the_filter_selects(cast: Cast, bulk: Bulk) -> None:
    done, waiting = start_run(cast.tenant), start_run(cast.tenant)
    complete(tasks_of(done)[0], {})
    staged = bulk.stage("replay", statuses=["COMPLETED"])
    assert staged["total"] == 1
    bulk.change(staged, "start")
    work(staged)
    assert [tasks_of(run)[0].retry_count for run in (done, waiting)] == [1, 0]


def test_a_stopped_action_does_nothing_until_it_goes_on(cast: Cast, bulk: Bulk) -> None:
    run = start_run(cast.tenant)
    staged = bulk.stage()
    bulk.change(staged, "start")
    assert bulk.change(staged, "stop").json["state"] == "STOPPED"
    work(staged)
    assert Run.objects.get(id=run.id).status == Status.QUEUED
    bulk.change(staged, "start")
    work(staged)
    assert Run.objects.get(id=run.id).status == Status.CANCELLED
    for word in ("start", "stop"):
        assert bulk.change(staged, word).status == 409


def test_actions_are_listed_the_newest_first(bulk: Bulk) -> None:
    first, second = bulk.stage(), bulk.stage("replay")
    rows = bulk.client.get(bulk.path).json["rows"]
    assert [row["metadata"] for row in rows] == [second["metadata"], first["metadata"]]
    assert "filter" not in rows[0]


def test_another_tenants_runs_and_actions_are_out_of_reach(cast: Cast, bulk: Bulk) -> None:
    make_workflow(cast.other_tenant)
    theirs = start_run(cast.other_tenant)
    staged = bulk.stage()
    assert (staged["total"], staged["sample"]) == (0, [])
    other = Bulk(cast, ApiClient(user=cast.stranger))
    assert other.client.get(f"{bulk.path}/{staged['metadata']['id']}").status == 401
    elsewhere = f"/api/v1/stable/tenants/{cast.other_tenant.id}/bulk-actions"
    assert other.client.get(f"{elsewhere}/{staged['metadata']['id']}").status == 404
    assert other.client.post(f"{elsewhere}/{staged['metadata']['id']}/start").status == 404
    assert Run.objects.get(id=theirs.id).status == Status.QUEUED


def test_a_viewer_starts_nothing(cast: Cast, bulk: Bulk) -> None:
    staged = bulk.stage()
    viewer = Bulk(cast, ApiClient(user=cast.viewer))
    assert viewer.get(staged) == bulk.get(staged)
    assert viewer.post().status == 401
    assert viewer.change(staged, "start").status == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "cancel"},
        {"action": "delete", "filter": {"since": SINCE}},
        {"action": "cancel", "filter": {}},
        {"action": "cancel", "filter": []},
        {"action": "cancel", "filter": {"since": "x"}},
        {"action": 7, "filter": {"since": SINCE}},
        {"action": "cancel", "filter": {"since": SINCE, "statuses": ["LOST"]}},
        {"action": "cancel", "filter": {"since": SINCE, "workflowIds": ["x"]}},
        {"action": "cancel", "filter": {"since": SINCE, "additionalMetadata": ["x"]}},
        {"action": "cancel", "filter": {"since": SINCE, "additionalMetadata": ["a:b"] * 101}},
        {"action": "cancel", "filter": {"since": SINCE, "additionalMetadata": ["a:" + "b" * 1000]}},
        {"action": "cancel", "filter": {"since": SINCE, "additionalMetadata": ["a:\0"]}},
        {
            "action": "cancel",
            "filter": {
                "since": SINCE,
                "workflowIds": ["00000000-0000-0000-0000-000000000000"] * 1001,
            },
        },
    ],
)
def test_a_wrong_wish_is_refused(bulk: Bulk, body: Any) -> None:
    answer = bulk.client.post(bulk.path, body)
    assert answer.status == 400, answer.content[:200]
    assert answer.error
    assert not BulkAction.objects.exists()


def test_an_action_nobody_staged_is_not_found(bulk: Bulk) -> None:
    assert bulk.client.get(f"{bulk.path}/{uuid4()}").status == 404
    assert bulk.client.get(f"{bulk.path}/x").status == 400
    assert bulk.client.post(f"{bulk.path}/{uuid4()}/start").status == 404
