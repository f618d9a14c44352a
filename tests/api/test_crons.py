"""Crons over REST: those clients make, and those that workflows declare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from engine.domain.cron.firing import Missed
from engine.models import Cron, Run
from engine.states import CronMissCause
from engine.store import crons, sync_db
from engine.store.query import fetch
from tests.api.client import ApiClient
from tests.api.factories import make_workflow
from tests.api.load import failures_of
from tests.cast import Cast

NIGHTLY: dict[str, Any] = {
    "cronName": "nightly",
    "cronExpression": "0 3 * * *",
    "input": {"n": 1},
    "additionalMetadata": {"team": "a"},
    "priority": 2,
}


@pytest.fixture
def base(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/workflows"


@pytest.fixture
def made(cast: Cast, api: ApiClient, base: str) -> Any:
    make_workflow(cast.tenant)
    answer = api.post(f"{base}/greet/crons", NIGHTLY)
    assert answer.status == 200
    return answer.json


def test_a_cron_made_by_a_client(cast: Cast, api: ApiClient, base: str, made: Any) -> None:
    assert made["method"] == "API"
    assert made["enabled"] is True
    assert (made["name"], made["cron"]) == ("nightly", "0 3 * * *")
    assert (made["input"], made["priority"], made["missed"]) == ({"n": 1}, 2, "skip")
    assert made["additionalMetadata"] == {"team": "a"}
    path = f"{base}/crons/{made['metadata']['id']}"
    assert api.get(path).json == made
    listed = api.get(f"{base}/crons").json
    assert listed["rows"] == [made]
    assert failures_of([["one", "CronWorkflows", made], ["all", "CronWorkflowsList", listed]]) == {}
    assert (api.delete(path).status, api.delete(path).status) == (204, 404)
    assert api.get(f"{base}/crons").json["rows"] == []


def test_a_declared_cron_is_one_row(cast: Cast, api: ApiClient, base: str) -> None:
    for description in ("first", "second"):
        make_workflow(
            cast.tenant,
            description=description,
            cron_triggers=("0 3 * * *",),
            cron_input='{"from":"code"}',
        )
    (row,) = api.get(f"{base}/crons", {"workflowName": "greet"}).json["rows"]
    assert (row["method"], row["name"], row["input"]) == ("DEFAULT", "", {"from": "code"})
    version = api.get(f"/api/v1/workflows/{row['workflowId']}/versions").json
    assert version["metadata"]["id"] == row["workflowVersionId"]
    assert [cron["cron"] for cron in version["triggers"]["crons"]] == ["0 3 * * *"]
    assert failures_of([["one", "CronWorkflows", row], ["v", "WorkflowVersion", version]]) == {}


def test_running_a_cron_now(cast: Cast, api: ApiClient, base: str, made: Any) -> None:
    answer = api.post(f"{base}/crons/{made['metadata']['id']}")
    assert failures_of([["run", "TriggerRunResult", answer.json]]) == {}
    run = api.get(f"/api/v1/stable/workflow-runs/{answer.json['externalId']}").json["run"]
    assert run["input"] == {"n": 1}
    assert run["additionalMetadata"]["team"] == "a"
    assert Run.objects.get(id=answer.json["externalId"]).priority == 2


def test_switching_a_cron(api: ApiClient, base: str, made: Any) -> None:
    path = f"{base}/crons/{made['metadata']['id']}"
    for enabled in (False, True):
        answer = api.patch(path, {"enabled": enabled})
        assert (answer.status, answer.content) == (204, b"")
        assert api.get(path).json["enabled"] is enabled
        assert (Cron.objects.get().due_at is not None) is enabled
        assert api.patch(path, {}).status == 204
    assert api.patch(path, {"enabled": "yes"}).status == 400


def test_what_is_done_about_missed_times_is_chosen(api: ApiClient, base: str, made: Any) -> None:
    asked = NIGHTLY | {"cronName": "other", "missed": "latest"}
    assert api.post(f"{base}/greet/crons", asked).json["missed"] == "latest"
    path = f"{base}/crons/{made['metadata']['id']}"
    assert api.patch(path, {"missed": "all", "enabled": False}).status == 204
    found = api.get(path).json
    assert (found["missed"], found["enabled"]) == ("all", False)
    for wrong in ("ALL", "never", "", 5, ["all"]):
        assert api.patch(path, {"missed": wrong, "enabled": True}).status == 400
    assert api.get(path).json == found, "nothing is changed by what is refused"


def test_missed_times_are_told(api: ApiClient, base: str, made: Any) -> None:
    at = datetime(2026, 5, 1, 3, tzinfo=UTC)
    missed = Missed(CronMissCause.STOPPED, 3, at, at + timedelta(days=2))
    cron = Cron.objects.get()
    sync_db.run(fetch(crons.record_misses([(cron.id, missed)], datetime.now(UTC))))
    answer = api.get(f"{base}/crons/{cron.id}").json
    assert answer["missedFires"] == [
        {
            "cause": "STOPPED",
            "detail": "",
            "count": 3,
            "firstAt": "2026-05-01T03:00:00.000000Z",
            "lastAt": "2026-05-03T03:00:00.000000Z",
        }
    ]
    assert failures_of([["one", "CronWorkflows", answer]]) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"cronName": " "},
        {"cronName": None},
        {"cronExpression": "61 * * * *"},
        {"cronExpression": "a b c d e f"},
        {"cronExpression": ""},
        {"cronExpression": "* " * 200},
        {"cronExpression": 5},
        {"input": []},
        {"input": None},
        {"additionalMetadata": "x"},
        {"priority": 4},
        {"missed": "some"},
        {"missed": ""},
        {"missed": 1},
        {},
    ],
)
def test_a_wrong_or_repeated_cron_is_refused(
    api: ApiClient, base: str, made: Any, change: dict[str, Any]
) -> None:
    assert api.post(f"{base}/greet/crons", NIGHTLY | change).status == 400
    assert Cron.objects.count() == 1


@pytest.mark.parametrize("name", ["unknown", "a%00b", "%F0%9F%AA%93", "x" * 5_000])
def test_an_unknown_workflow_is_refused(api: ApiClient, base: str, made: Any, name: str) -> None:
    answer = api.post(f"{base}/{name}/crons", NIGHTLY)
    assert (answer.status, "not found" in answer.error) == (400, True)


@pytest.mark.parametrize(
    "expression",
    ["@daily", "@midnight", "@every 5m", "TZ=Europe/Berlin 0 9 * * 1-5", "*/5 * * * * *"],
)
def test_other_ways_to_write_one(api: ApiClient, base: str, made: Any, expression: str) -> None:
    body = NIGHTLY | {"cronExpression": expression}
    assert api.post(f"{base}/greet/crons", body).json["cron"] == expression


def test_lists_are_narrowed_and_ordered(cast: Cast, api: ApiClient, base: str, made: Any) -> None:
    make_workflow(cast.tenant, "other")
    second = NIGHTLY | {"cronName": "a", "additionalMetadata": {"team": "b:c"}}
    other = api.post(f"{base}/other/crons", second).json
    for query, names in (
        ({}, ["a", "nightly"]),
        ({"orderByDirection": "ASC"}, ["nightly", "a"]),
        ({"orderByField": "name", "orderByDirection": "ASC"}, ["a", "nightly"]),
        ({"workflowName": "greet"}, ["nightly"]),
        ({"workflowId": other["workflowId"]}, ["a"]),
        ({"cronName": "night"}, []),
        ({"additionalMetadata": "team:b:c"}, ["a"]),
        ({"limit": 1}, ["a"]),
        ({"limit": 1, "offset": 1}, ["nightly"]),
    ):
        rows = api.get(f"{base}/crons", query).json["rows"]
        assert [row["name"] for row in rows] == names, query
    assert api.get(f"{base}/crons", {"orderByField": "nope"}).status == 400


def test_crons_of_another_tenant_are_not_found(cast: Cast, api: ApiClient, base: str) -> None:
    make_workflow(cast.other_tenant, cron_triggers=("0 3 * * *",))
    path = f"{base}/crons/{Cron.objects.get().id}"
    assert {api.get(path).status, api.post(path).status, api.delete(path).status} == {404}
    assert api.get(f"{base}/crons/{uuid4()}").status == 404
    assert Cron.objects.count() == 1


def test_without_a_priority_that_of_its_workflow_is_shown(cast: Cast, api: ApiClient) -> None:
    for name, default, shown in (("plain", None, 1), ("urgent", 3, 3)):
        make_workflow(cast.tenant, name, default_priority=default)
        base = f"/api/v1/tenants/{cast.tenant.id}/workflows"
        body: dict[str, Any] = {"input": {}, "additionalMetadata": {}}
        cron = api.post(
            f"{base}/{name}/crons", body | {"cronName": "c", "cronExpression": "0 0 * * *"}
        )
        later = {"triggerAt": "2099-01-02T03:04:05Z"}
        schedule = api.post(f"{base}/{name}/scheduled", body | later)
        assert (cron.json["priority"], schedule.json["priority"]) == (shown, shown)
