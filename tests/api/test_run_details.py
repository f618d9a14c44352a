"""One run and one task, seen from the moment they exist."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.domain.definition import Idempotency
from engine.models import LogLine, Run, Task
from engine.operations import choose_runs
from engine.operations.trigger_runs import trigger_runs
from engine.states import IdempotencyMethod, LogLevel, Status
from engine.store import sync_db
from engine.types import TriggerRequest
from tests.api.client import ApiClient
from tests.api.factories import (
    begin,
    complete,
    fail,
    make_workflow,
    now,
    start_run,
    step,
    tasks_of,
)
from tests.cast import Cast

STABLE = "/api/v1/stable"


def test_a_run_is_readable_as_soon_as_it_is_triggered(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant)
    path = f"{STABLE}/tenants/{cast.tenant.id}/workflow-runs/trigger"
    body = {
        "workflowName": "greet",
        "input": {"who": "x"},
        "additionalMetadata": {"k": "v"},
        "priority": 3,
    }
    triggered = api.post(path, body).json
    run_id = triggered["run"]["metadata"]["id"]
    details = api.get(f"{STABLE}/workflow-runs/{run_id}").json
    assert details == triggered
    assert details["run"]["status"] == "QUEUED"
    assert details["run"]["input"] == {"who": "x"}
    assert details["run"]["additionalMetadata"] == {"k": "v"}
    assert "greet" in details["run"]["displayName"]
    assert "startedAt" not in details["run"]
    assert [task["taskExternalId"] for task in details["tasks"]] == [run_id]


def test_tasks_of_a_workflow_are_called_by_their_own_names(cast: Cast, api: ApiClient) -> None:
    """SDK tests look for the readable id in a task's display name, and for the workflow's in a run's."""
    make_workflow(cast.tenant, "order", step("pay"), step("ship"))
    run = start_run(cast.tenant, "order")
    details = api.get(f"{STABLE}/workflow-runs/{run.id}").json
    assert details["run"]["displayName"] == f"order-{run.id.int >> 80}"
    made = {task.id: task for task in tasks_of(run)}
    names = {task["displayName"].rpartition("-")[0] for task in details["tasks"]}
    assert names == {"pay", "ship"}
    for task in details["tasks"]:
        assert task["displayName"].endswith(f"-{UUID(task['taskExternalId']).int >> 80}")
        assert UUID(task["taskExternalId"]) in made


def test_the_status_is_a_bare_text(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    answer = api.get(f"{STABLE}/workflow-runs/{run.id}/status")
    assert answer.content == b'"QUEUED"'
    complete(tasks_of(run)[0], {})
    assert api.get(f"{STABLE}/workflow-runs/{run.id}/status").content == b'"COMPLETED"'


def test_the_shape_names_every_step_once_with_those_that_follow_it(
    cast: Cast, api: ApiClient
) -> None:
    make_workflow(
        cast.tenant, "dag", step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c")
    )
    run = start_run(cast.tenant, "dag")
    complete(tasks_of(run)[0], {})
    shape = api.get(f"{STABLE}/workflow-runs/{run.id}").json["shape"]
    assert [item["taskName"] for item in shape] == ["a", "b", "c", "d"]
    name_of = {item["stepId"]: item["taskName"] for item in shape}
    children = {
        item["taskName"]: {name_of[child] for child in item["childrenStepIds"]} for item in shape
    }
    assert children == {"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}
    created = {item["taskName"] for item in shape if UUID(item["taskExternalId"]).int}
    assert created == {"a", "b", "c"}


def test_the_id_of_a_task_inside_a_dag_is_no_run(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant, "dag", step("a"), step("b", "a"))
    run = start_run(cast.tenant, "dag")
    assert api.get(f"{STABLE}/workflow-runs/{tasks_of(run)[0].id}").status == 404
    assert api.get(f"{STABLE}/tasks/{run.id}").status == 404


def test_task_events_tell_each_attempt_newest_first(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant, "greet", step("greet", retries=2))
    run = start_run(cast.tenant)
    fail(tasks_of(run)[0], "first")
    fail(tasks_of(run)[0], "second", should_not_retry=True)
    details = api.get(f"{STABLE}/workflow-runs/{run.id}").json
    events = details["taskEvents"]
    assert {event["taskId"] for event in events} == {str(run.id)}
    assert [event["timestamp"] for event in events] == sorted(
        (event["timestamp"] for event in events), reverse=True
    )
    kinds = [(event["eventType"], event["attempt"]) for event in events]
    assert kinds.count(("FAILED", 1)) == kinds.count(("FAILED", 2)) == 1
    assert [kind for kind, _ in kinds].count("RETRYING") == 1
    assert len(set(kinds)) == len(kinds)
    errors = {e["attempt"]: e["errorMessage"] for e in events if e["eventType"] == "FAILED"}
    assert errors == {1: "first", 2: "second"}
    assert api.get(f"{STABLE}/workflow-runs/{run.id}/task-events").json["rows"] == events


def test_each_attempt_of_a_task_can_be_read(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant, "greet", step("greet", retries=1))
    run = start_run(cast.tenant)
    fail(tasks_of(run)[0], "first")
    complete(tasks_of(run)[0], {"ok": True})
    path = f"{STABLE}/tasks/{run.id}"
    first, latest = api.get(path, {"attempt": 1}).json, api.get(path).json
    assert (first["status"], first["errorMessage"], first["output"]) == ("FAILED", "first", {})
    assert (first["attempt"], first["retryCount"]) == (1, 0)
    assert (latest["status"], latest["attempt"], latest["output"]) == ("COMPLETED", 2, {"ok": True})
    assert "errorMessage" not in latest
    assert api.get(path, {"attempt": 3}).status == 404
    assert api.get(path, {"attempt": 0}).status == 400


def test_a_task_counts_the_children_it_spawned(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    for index in range(3):
        start_run(cast.tenant, parent_task_id=run.id, child_index=index)
    assert api.get(f"{STABLE}/tasks/{run.id}").json["numSpawnedChildren"] == 3
    path = f"{STABLE}/workflow-runs/{run.id}/task-timings"
    assert [row["depth"] for row in api.get(path, {"depth": 1}).json["rows"]] == [0, 1, 1, 1]
    assert [row["depth"] for row in api.get(path).json["rows"]] == [0]
    assert api.get(path, {"depth": 11}).status == 400


class TestLogs:
    @pytest.fixture
    def path(self, cast: Cast) -> str:
        make_workflow(cast.tenant)
        run = start_run(cast.tenant)
        for number, level in enumerate((LogLevel.INFO, LogLevel.WARN, LogLevel.ERROR)):
            LogLine.objects.create(
                run_id=run.id,
                task_id=run.id,
                tenant_id=cast.tenant.id,
                retry_count=number // 2,
                level=level,
                message=f"Line {number}",
                created_at=now(),
            )
        return f"{STABLE}/tasks/{run.id}/logs"

    @pytest.mark.parametrize(
        ("query", "numbers"),
        [
            ({}, "012"),
            ({"order_by_direction": "DESC"}, "210"),
            ({"limit": 2}, "01"),
            ({"levels": ["WARN", "ERROR"]}, "12"),
            ({"search": "line 1"}, "1"),
            ({"search": "%"}, ""),
            ({"attempt": 2}, "2"),
            ({"until": "2020-01-01T00:00:00Z"}, ""),
            ({"since": "2020-01-01T00:00:00Z"}, "012"),
        ],
    )
    def test_lines_are_narrowed(
        self, api: ApiClient, path: str, query: dict[str, object], numbers: str
    ) -> None:
        rows = api.get(path, query).json["rows"]
        assert "".join(row["message"][-1] for row in rows) == numbers

    def test_a_tenant_has_the_lines_of_all_its_tasks_and_no_others(
        self, api: ApiClient, cast: Cast, path: str
    ) -> None:
        task_id = path.split("/")[-2]
        whole = f"{STABLE}/tenants/{cast.tenant.id}/logs"
        assert len(api.get(whole).json["rows"]) == 3
        assert len(api.get(whole, {"taskExternalIds": task_id}).json["rows"]) == 3
        assert api.get(whole, {"taskExternalIds": str(UUID(int=1))}).json["rows"] == []
        assert api.get(whole, {"workflow_ids": str(UUID(int=1))}).json["rows"] == []
        theirs = ApiClient(user=cast.stranger)
        other = f"{STABLE}/tenants/{cast.other_tenant.id}/logs"
        assert theirs.get(other, {"taskExternalIds": task_id}).json["rows"] == []


class TestActions:
    def test_cancel_takes_runs_and_tasks_and_ignores_unknown_ids(
        self, cast: Cast, api: ApiClient
    ) -> None:
        make_workflow(cast.tenant)
        run = start_run(cast.tenant)
        begin(tasks_of(run)[0])
        ids = [str(run.id), str(UUID(int=7))]
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks/cancel"
        assert api.post(path, {"externalIds": ids}).json == {"ids": [str(run.id)]}
        assert api.get(f"{STABLE}/workflow-runs/{run.id}/status").json == "CANCELLED"
        assert api.post(path, {"externalIds": ids}).json == {"ids": []}

    def test_replay_runs_again_with_the_same_input(self, cast: Cast, api: ApiClient) -> None:
        make_workflow(cast.tenant)
        run = start_run(cast.tenant, value={"who": "x"})
        complete(tasks_of(run)[0], {"old": True})
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks/replay"
        assert api.post(path, {"externalIds": [str(run.id)]}).json == {"ids": [str(run.id)]}
        task = api.get(f"{STABLE}/tasks/{run.id}").json
        assert (task["status"], task["retryCount"], task["output"]) == ("QUEUED", 1, {})
        assert task["input"] == {"who": "x"}

    def test_a_run_whose_key_another_holds_is_not_replayed(
        self, cast: Cast, api: ApiClient
    ) -> None:
        settings = Idempotency("input.key", 3_600_000, IdempotencyMethod.STATUS)
        make_workflow(cast.tenant, idempotency=settings)
        first, other = (start_run(cast.tenant, value={"key": key}) for key in ("a", "b"))
        complete(tasks_of(first)[0], {})
        complete(tasks_of(other)[0], {})
        holder = start_run(cast.tenant, value={"key": "a"})
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks/replay"
        refused = api.post(path, {"externalIds": [str(first.id)]})
        assert refused.status == 409
        assert refused.json["errors"][0]["description"] == "idempotency key collision"
        both = api.post(path, {"externalIds": [str(first.id), str(other.id)]})
        collision = {
            "existingRunExternalId": str(holder.id),
            "collidingRunExternalId": str(first.id),
        }
        assert both.json == {"ids": [str(other.id)], "collisions": [collision]}
        assert api.get(f"{STABLE}/workflow-runs/{first.id}/status").json == "COMPLETED"

    def test_filters_select_by_metadata_and_status(self, cast: Cast, api: ApiClient) -> None:
        make_workflow(cast.tenant)
        a = start_run(cast.tenant, metadata={"batch": "1"})
        start_run(cast.tenant, metadata={"batch": "2"})
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks"
        wanted = {"since": "2020-01-01T00:00:00Z", "additionalMetadata": ["batch:1"]}
        assert api.post(f"{path}/cancel", {"filter": wanted}).json == {"ids": [str(a.id)]}
        wanted = {"since": "2020-01-01T00:00:00Z", "statuses": ["CANCELLED"]}
        assert api.post(f"{path}/replay", {"filter": wanted}).json == {"ids": [str(a.id)]}

    @pytest.mark.parametrize("verb", ["cancel", "replay"])
    def test_wrong_targets_are_refused_and_none_is_nothing_to_do(
        self, cast: Cast, api: ApiClient, verb: str
    ) -> None:
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks/{verb}"
        assert (api.post(path, {}).status, api.post(path, {}).json) == (200, {"ids": []})
        some_id, since = str(UUID(int=1)), {"since": "2020-01-01T00:00:00Z"}
        wrong: list[dict[str, object]] = [
            {"externalIds": [some_id], "filter": since},
            {"externalIds": ["x"]},
            {"externalIds": some_id},
            {"filter": {}},
            {"filter": {"since": "soon"}},
            {"filter": {**since, "statuses": ["DONE"]}},
            {"filter": {**since, "additionalMetadata": ["nocolon"]}},
        ]
        for body in wrong:
            assert api.post(path, body).status == 400

    @pytest.mark.parametrize("verb", ["cancel", "replay"])
    def test_another_tenants_run_is_left_alone(self, cast: Cast, api: ApiClient, verb: str) -> None:
        make_workflow(cast.other_tenant)
        run = start_run(cast.other_tenant)
        if verb == "replay":
            complete(tasks_of(run)[0], {})
        before = (run.status, tasks_of(run)[0].retry_count)
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks/{verb}"
        answer = api.post(path, {"externalIds": [str(run.id)]})
        assert (answer.status, answer.json) == (200, {"ids": []})
        if verb == "cancel":
            run.refresh_from_db()
        assert (run.status, tasks_of(run)[0].retry_count) == before

    @pytest.mark.parametrize("verb", ["cancel", "replay"])
    def test_a_filter_reaches_all_it_selects(self, cast: Cast, api: ApiClient, verb: str) -> None:
        make_workflow(cast.tenant)
        wanted = [TriggerRequest("greet")] * 1_010
        ids = sync_db.run(trigger_runs(cast.tenant.id, wanted, now()))
        if verb == "replay":
            Run.objects.filter(id__in=ids).update(status=Status.COMPLETED)
            Task.objects.filter(id__in=ids).update(status=Status.COMPLETED)
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks/{verb}"
        answer = api.post(path, {"filter": {"since": "2020-01-01T00:00:00Z"}})
        assert sorted(answer.json["ids"]) == sorted(map(str, ids))

    @pytest.mark.parametrize("verb", ["cancel", "replay"])
    def test_a_filter_that_selects_too_many_changes_nothing(
        self, cast: Cast, api: ApiClient, verb: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(choose_runs, "MOST_MATCHED", 2)
        make_workflow(cast.tenant)
        for _ in range(3):
            complete(tasks_of(start_run(cast.tenant))[0], {})
        before = set(Run.objects.values_list("id", "status"))
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks/{verb}"
        refused = api.post(path, {"filter": {"since": "2020-01-01T00:00:00Z"}})
        assert refused.status == 400
        assert "more than 2 runs" in refused.error
        assert set(Run.objects.values_list("id", "status")) == before

    def test_cancelling_a_graph_tells_what_was_cancelled(self, cast: Cast, api: ApiClient) -> None:
        make_workflow(cast.tenant, "graph", step("a"), step("b"))
        run, other = start_run(cast.tenant, "graph"), start_run(cast.tenant, "graph")
        done, open_task = tasks_of(run)
        complete(done, {})
        path = f"{STABLE}/tenants/{cast.tenant.id}/tasks/cancel"
        ids = [str(done.id), str(open_task.id)]
        assert api.post(path, {"externalIds": ids}).json == {"ids": [str(open_task.id)]}
        ids = [str(run.id), str(other.id)]
        assert api.post(path, {"externalIds": ids}).json == {"ids": [str(other.id)]}
