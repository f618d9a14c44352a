"""One-time schedules over REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.models import Run, Schedule
from engine.operations.timetable.fire_schedules import (
    ALREADY_FIRED,
    fire_schedules,
    set_schedule_aside,
)
from engine.store import sync_db
from tests.api.client import ApiClient
from tests.api.factories import complete, make_workflow, now, start_run, tasks_of
from tests.api.load import failures_of
from tests.cast import Cast

LATER, LATEST = "2099-01-02T03:04:05.678901Z", "2099-05-01T00:00:00.000000Z"
BODY: dict[str, Any] = {
    "input": {"n": 1},
    "additionalMetadata": {"team": "a"},
    "triggerAt": LATER,
    "priority": 2,
}


@pytest.fixture
def base(cast: Cast) -> str:
    make_workflow(cast.tenant)
    return f"/api/v1/tenants/{cast.tenant.id}/workflows"


@pytest.fixture
def made(api: ApiClient, base: str) -> Any:
    answer = api.post(f"{base}/greet/scheduled", BODY)
    assert answer.status == 200
    return answer.json


def fired(api: ApiClient, base: str) -> Any:
    """A schedule whose run has completed."""
    answer = api.post(f"{base}/greet/scheduled", BODY | {"triggerAt": "2020-01-01T00:00:00Z"})
    sync_db.run(fire_schedules(now()))
    run_id = Schedule.objects.get(id=id_of(answer.json)).run_id
    assert run_id is not None
    complete(tasks_of(Run.objects.get(id=run_id))[0], {})
    return answer.json


def id_of(row: Any) -> str:
    return str(row["metadata"]["id"])


def test_a_schedule_is_visible_at_once_and_echoes_what_was_sent(
    api: ApiClient, base: str, made: Any
) -> None:
    assert (made["triggerAt"], made["method"], made["priority"]) == (LATER, "API", 2)
    assert (made["input"], made["additionalMetadata"]) == ({"n": 1}, {"team": "a"})
    assert made["workflowName"] == "greet"
    assert "workflowRunId" not in made
    listed = api.get(f"{base}/scheduled").json
    assert listed["rows"] == [made]
    assert api.get(f"{base}/scheduled/{id_of(made)}").json == made
    loaded = [["one", "ScheduledWorkflows", made], ["all", "ScheduledWorkflowsList", listed]]
    assert failures_of(loaded) == {}


def test_a_fired_one_shows_its_run_and_stays_as_it_is(api: ApiClient, base: str) -> None:
    path = f"{base}/scheduled/{id_of(fired(api, base))}"
    row = api.get(path).json
    assert row["workflowRunStatus"] == "SUCCEEDED"
    assert row["workflowRunName"].startswith("greet-")
    assert api.get(f"/api/v1/stable/workflow-runs/{row['workflowRunId']}").status == 200
    assert failures_of([["one", "ScheduledWorkflows", row]]) == {}
    for answer in (api.patch(path, {"triggerAt": LATER}), api.delete(path), api.post(path)):
        assert (answer.status, answer.error) == (400, ALREADY_FIRED)


def test_moving_deleting_and_running_now(api: ApiClient, base: str, made: Any) -> None:
    path = f"{base}/scheduled/{id_of(made)}"
    assert api.patch(path, {"triggerAt": "2099-05-01T02:00:00+02:00"}).json["triggerAt"] == LATEST
    assert api.patch(path, {"triggerAt": "soon"}).status == 400
    assert api.patch(path, {}).status == 400
    answer = api.post(path)
    assert failures_of([["run", "TriggerRunResult", answer.json]]) == {}
    assert api.get(path).json["workflowRunId"] == answer.json["externalId"]
    other = f"{base}/scheduled/{id_of(api.post(f'{base}/greet/scheduled', BODY).json)}"
    deleted = api.delete(other)
    assert (deleted.status, deleted.content) == (204, b"")
    assert (api.get(other).status, api.delete(other).status) == (404, 404)


@pytest.mark.parametrize(
    "change",
    [
        {"triggerAt": "yesterday"},
        {"triggerAt": None},
        {"triggerAt": 5},
        {"input": "x"},
        {"input": 7},
        {"additionalMetadata": []},
        {"priority": 0},
    ],
)
def test_a_wrong_schedule_is_refused(api: ApiClient, base: str, change: dict[str, Any]) -> None:
    assert api.post(f"{base}/greet/scheduled", BODY | change).status == 400
    assert not Schedule.objects.exists()


@pytest.mark.parametrize("name", ["unknown", "a%00b"])
def test_an_unknown_workflow_is_refused(api: ApiClient, base: str, name: str) -> None:
    answer = api.post(f"{base}/{name}/scheduled", BODY)
    assert (answer.status, "not found" in answer.error) == (400, True)


def test_lists_are_narrowed_and_ordered(cast: Cast, api: ApiClient, base: str, made: Any) -> None:
    make_workflow(cast.tenant, "other")
    parent = start_run(cast.tenant)
    body = BODY | {"triggerAt": LATEST, "additionalMetadata": {"team": "b"}}
    other = api.post(f"{base}/other/scheduled", body).json
    Schedule.objects.filter(id=id_of(other)).update(
        parent_run_id=parent.id, parent_task_id=parent.id
    )
    done = fired(api, base)
    first, second, third = id_of(made), id_of(other), id_of(done)
    for query, ids in (
        ({}, [second, first, third]),
        ({"orderByDirection": "ASC"}, [third, first, second]),
        ({"orderByField": "createdAt"}, [third, second, first]),
        ({"workflowId": other["workflowId"]}, [second]),
        ({"parentWorkflowRunId": parent.id}, [second]),
        ({"parentStepRunId": parent.id}, [second]),
        ({"additionalMetadata": "team:b"}, [second]),
        ({"statuses": "SCHEDULED"}, [second, first]),
        ({"statuses": "SUCCEEDED"}, [third]),
        ({"statuses": ["SUCCEEDED", "PENDING"]}, [second, first, third]),
        ({"statuses": "FAILED"}, []),
        ({"limit": 1, "offset": 1}, [first]),
    ):
        rows = api.get(f"{base}/scheduled", query).json["rows"]
        assert [id_of(row) for row in rows] == ids, query
    assert api.get(f"{base}/scheduled", {"statuses": "NOPE"}).status == 400


def test_the_number_of_queries_does_not_grow_with_the_list(api: ApiClient, base: str) -> None:
    def queries() -> int:
        fired(api, base)
        api.get(f"{base}/scheduled")  # asks what the token stands for, once
        with CaptureQueriesContext(connection) as captured:
            assert api.get(f"{base}/scheduled").status == 200
        return len(captured)

    queries()
    assert queries() == queries()


class TestMany:
    def test_deleting_by_ids(self, api: ApiClient, base: str, made: Any) -> None:
        done, unknown = id_of(fired(api, base)), str(uuid4())
        body = {"scheduledWorkflowRunIds": [id_of(made), done, unknown]}
        answer = api.post(f"{base}/scheduled/bulk-delete", body)
        assert answer.status == 200
        assert answer.json["deletedIds"] == [id_of(made)]
        assert [error["id"] for error in answer.json["errors"]] == [done, unknown]
        assert failures_of([["d", "ScheduledWorkflowsBulkDeleteResponse", answer.json]]) == {}

    def test_deleting_by_a_filter(self, cast: Cast, api: ApiClient, base: str, made: Any) -> None:
        make_workflow(cast.tenant, "other")
        other = api.post(f"{base}/other/scheduled", BODY | {"additionalMetadata": {"x": 1}}).json
        path = f"{base}/scheduled/bulk-delete"
        for chosen, ids in (
            ({"workflowId": other["workflowId"], "additionalMetadata": ["x:2"]}, []),
            ({"workflowId": other["workflowId"], "additionalMetadata": ["x:1"]}, [id_of(other)]),
            ({"additionalMetadata": ["team:a"]}, [id_of(made)]),
        ):
            assert api.post(path, {"filter": chosen}).json == {"deletedIds": ids, "errors": []}

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"filter": {}},
            {"scheduledWorkflowRunIds": []},
            {"scheduledWorkflowRunIds": [str(uuid4())] * 501},
            {"scheduledWorkflowRunIds": ["x"]},
            {"scheduledWorkflowRunIds": [str(uuid4())], "filter": {"workflowId": str(uuid4())}},
            {"filter": {"workflowId": "x"}},
            {"filter": {"additionalMetadata": ["nocolon"]}},
        ],
    )
    def test_a_wrong_choice_deletes_nothing(
        self, api: ApiClient, base: str, made: Any, body: Any
    ) -> None:
        assert api.post(f"{base}/scheduled/bulk-delete", body).status == 400
        assert Schedule.objects.count() == 1

    def test_moving(self, api: ApiClient, base: str, made: Any) -> None:
        unknown = str(uuid4())
        updates = [{"id": i, "triggerAt": LATEST} for i in (id_of(made), unknown)]
        answer = api.post(f"{base}/scheduled/bulk-update", {"updates": updates})
        assert answer.status == 200
        assert answer.json["updatedIds"] == [id_of(made)]
        assert [error["id"] for error in answer.json["errors"]] == [unknown]
        assert api.get(f"{base}/scheduled/{id_of(made)}").json["triggerAt"] == LATEST
        assert failures_of([["u", "ScheduledWorkflowsBulkUpdateResponse", answer.json]]) == {}

    @pytest.mark.parametrize("updates", [None, [], [{}], ["x"], [{"id": "x", "triggerAt": LATER}]])
    def test_wrong_moves_are_refused(
        self, api: ApiClient, base: str, made: Any, updates: Any
    ) -> None:
        assert api.post(f"{base}/scheduled/bulk-update", {"updates": updates}).status == 400


def test_schedules_of_another_tenant_are_not_found(cast: Cast, api: ApiClient, made: Any) -> None:
    stranger = ApiClient(user=cast.stranger)
    base = f"/api/v1/tenants/{cast.other_tenant.id}/workflows"
    path = f"{base}/scheduled/{id_of(made)}"
    assert {
        stranger.get(path).status,
        stranger.post(path).status,
        stranger.delete(path).status,
    } == {404}
    body = {"scheduledWorkflowRunIds": [id_of(made)]}
    assert stranger.post(f"{base}/scheduled/bulk-delete", body).json["deletedIds"] == []
    assert Schedule.objects.count() == 1


def test_a_schedule_whose_run_could_not_be_started_says_why(cast: Cast, api: ApiClient) -> None:
    base = f"/api/v1/tenants/{cast.tenant.id}/workflows"
    make_workflow(cast.tenant)
    made = [
        api.post(
            f"{base}/greet/scheduled", {"input": {}, "additionalMetadata": {}, "triggerAt": at}
        ).json
        for at in ("2026-05-01T12:00:00Z", "2036-05-01T12:00:00Z")
    ]
    ids = [each["metadata"]["id"] for each in made]
    sync_db.run(set_schedule_aside(UUID(ids[0]), "KeyError: no version", now()))
    failed = api.get(f"{base}/scheduled/{ids[0]}").json
    assert (failed["workflowRunStatus"], failed["failure"]) == ("FAILED", "KeyError: no version")
    assert failures_of([["one", "ScheduledWorkflows", failed]]) == {}
    for status, expected in (("FAILED", ids[0]), ("SCHEDULED", ids[1])):
        rows = api.get(f"{base}/scheduled", {"statuses": status}).json["rows"]
        assert [row["metadata"]["id"] for row in rows] == [expected]
