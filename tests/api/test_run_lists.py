"""Which runs a list holds, in which order, on which page, and at what cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.domain.definition import Idempotency
from engine.models import Run, Task
from tenants.models import Member
from tests.api.client import ApiClient
from tests.api.factories import (
    begin,
    complete,
    fail,
    make_worker,
    make_workflow,
    now,
    push_event,
    start_run,
    step,
    tasks_of,
)
from tests.cast import Cast


class Runs:
    """The list endpoints, with the parameters that are always needed."""

    def __init__(self, cast: Cast, client: ApiClient) -> None:
        self.path = f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs"
        self.client = client

    def page(self, **query: Any) -> Any:
        asked = {"since": (now() - timedelta(hours=1)).isoformat(), "only_tasks": "false"}
        answer = self.client.get(self.path, asked | query)
        assert answer.status == 200, answer.content
        return answer.json

    def rows(self, **query: Any) -> list[Any]:
        rows: list[Any] = self.page(**query)["rows"]
        return rows

    def ids(self, **query: Any) -> list[str]:
        return [row["metadata"]["id"] for row in self.rows(**query)]


@pytest.fixture
def runs(cast: Cast, api: ApiClient) -> Runs:
    make_workflow(cast.tenant, "greet")
    return Runs(cast, api)


def test_the_newest_run_comes_first(cast: Cast, runs: Runs) -> None:
    made = [str(start_run(cast.tenant).id) for _ in range(3)]
    assert runs.ids() == made[::-1]


def test_pages_follow_one_formula(cast: Cast, runs: Runs) -> None:
    made = [str(start_run(cast.tenant).id) for _ in range(5)][::-1]
    first, last = runs.page(limit=2), runs.page(limit=2, offset=4)
    assert first["pagination"] == {"current_page": 1, "num_pages": 3, "next_page": 2}
    assert last["pagination"] == {"current_page": 3, "num_pages": 3, "next_page": 3}
    assert [row["metadata"]["id"] for row in first["rows"] + last["rows"]] == made[:2] + made[4:]
    assert runs.page(limit=1)["pagination"]["num_pages"] == 5
    assert runs.page(limit=2, include_num_pages="false")["pagination"]["num_pages"] == 0
    assert runs.page(offset=100)["rows"] == []


def test_another_tenants_runs_are_not_listed(cast: Cast, runs: Runs) -> None:
    make_workflow(cast.other_tenant, "greet")
    theirs = start_run(cast.other_tenant)
    assert runs.ids() == []
    assert runs.ids(only_tasks="true") == []
    path = f"{runs.path}/display-names"
    assert runs.client.get(path, {"external_ids": str(theirs.id)}).json["rows"] == []


def test_a_run_in_each_state_is_found_by_it(cast: Cast, runs: Runs) -> None:
    queued, running, done, failed = [start_run(cast.tenant) for _ in range(4)]
    begin(tasks_of(running)[0])
    complete(tasks_of(done)[0], {})
    fail(tasks_of(failed)[0], "broken")
    for only_tasks in ("true", "false"):
        for status, run in (
            ("QUEUED", queued),
            ("RUNNING", running),
            ("COMPLETED", done),
            ("FAILED", failed),
        ):
            assert runs.ids(statuses=status, only_tasks=only_tasks) == [str(run.id)]
        both = runs.ids(statuses=["QUEUED", "FAILED"], only_tasks=only_tasks)
        assert both == [str(failed.id), str(queued.id)]
    assert runs.ids(statuses="CANCELLED") == []
    assert str(running.id) not in runs.ids(running_filter="EVICTED")


def test_workflows_narrow_the_list(cast: Cast, runs: Runs) -> None:
    other = make_workflow(cast.tenant, "other")
    start_run(cast.tenant, "greet")
    wanted = start_run(cast.tenant, "other")
    for only_tasks in ("true", "false"):
        assert runs.ids(workflow_ids=str(other.workflow_id), only_tasks=only_tasks) == [
            str(wanted.id)
        ]


def test_metadata_is_compared_as_text_and_split_at_the_first_colon(cast: Cast, runs: Runs) -> None:
    a = start_run(cast.tenant, metadata={"url": "http://x:1", "n": 5, "on": True})
    b = start_run(cast.tenant, metadata={"team": "b"})
    start_run(cast.tenant)
    for only_tasks in ("true", "false"):
        for pair in ("url:http://x:1", "n:5", "on:true"):
            assert runs.ids(additional_metadata=pair, only_tasks=only_tasks) == [str(a.id)]
        either = ["n:5", "team:b"]
        assert runs.ids(additional_metadata=either, only_tasks=only_tasks) == [
            str(b.id),
            str(a.id),
        ]
        both = {"additional_metadata": either, "additional_metadata_operator": "AND"}
        assert runs.ids(**both, only_tasks=only_tasks) == []
    assert runs.ids(additional_metadata="team:") == []


def test_children_and_event_runs_are_found_by_their_origin(cast: Cast, runs: Runs) -> None:
    make_workflow(cast.tenant, "on-order", event_triggers=("order:*",))
    parent = start_run(cast.tenant)
    child = start_run(cast.tenant, parent_task_id=parent.id, child_index=0)
    event = push_event(cast.tenant, "order:paid")
    by_event = str(Run.objects.get(event_id=event.event_id).id)
    for only_tasks in ("true", "false"):
        found = runs.ids(parent_task_external_id=str(parent.id), only_tasks=only_tasks)
        assert found == [str(child.id)]
        asked = {"triggering_event_external_id": str(event.event_id), "only_tasks": only_tasks}
        assert runs.ids(**asked) == [by_event]


def test_tasks_are_found_by_their_worker(cast: Cast, runs: Runs) -> None:
    worker = make_worker(cast.tenant)
    here, _ = start_run(cast.tenant), start_run(cast.tenant)
    begin(tasks_of(here)[0], worker)
    assert runs.ids(only_tasks="true", worker_id=str(worker.id)) == [str(here.id)]


def test_until_now_never_hides_the_newest_but_until_then_does(cast: Cast, runs: Runs) -> None:
    run = start_run(cast.tenant)
    behind = (now() - timedelta(seconds=3)).isoformat()
    assert runs.ids(until=behind) == [str(run.id)]
    assert runs.ids(until=(now() - timedelta(minutes=1)).isoformat()) == []
    assert runs.ids(since=(now() + timedelta(minutes=1)).isoformat()) == []


def test_a_standalone_run_looks_like_its_task(cast: Cast, runs: Runs) -> None:
    run = start_run(cast.tenant, value={"who": "x"}, metadata={"k": "v"})
    complete(tasks_of(run)[0], {"greeting": "hi"})
    for only_tasks in ("true", "false"):
        (row,) = runs.rows(only_tasks=only_tasks)
        assert row["type"] == "TASK"
        assert row["taskExternalId"] == row["workflowRunExternalId"] == str(run.id)
        assert (row["input"], row["output"]) == ({"who": "x"}, {"greeting": "hi"})
        assert row["workflowName"] == "greet"
        assert row["additionalMetadata"] == {"k": "v"}
        assert (row["retryCount"], row["attempt"]) == (0, 1)
        assert row["displayName"] == f"greet-{run.id.int >> 80}"
        assert isinstance(row["duration"], int)


def test_a_dag_is_one_row_with_children_or_one_row_a_task(cast: Cast, runs: Runs) -> None:
    make_workflow(cast.tenant, "dag", step("one"), step("two", "one"))
    run = start_run(cast.tenant, "dag", value={"x": 1})
    complete(tasks_of(run)[0], {"n": 1})
    complete(tasks_of(run)[1], {"n": 2})
    (row,) = runs.rows()
    assert (row["type"], row["status"], row["taskId"]) == ("DAG", "COMPLETED", 0)
    assert row["output"] == {"one": {"n": 1}, "two": {"n": 2}}
    assert [child["output"] for child in row["children"]] == [{"n": 1}, {"n": 2}]
    two, one = runs.rows(only_tasks="true")
    assert (one["output"], two["output"]) == ({"n": 1}, {"n": 2})
    assert {one["workflowRunExternalId"], two["workflowRunExternalId"]} == {str(run.id)}
    assert one["input"] == {"x": 1}


def test_payloads_are_left_out_on_request_but_errors_stay(cast: Cast, runs: Runs) -> None:
    run = start_run(cast.tenant, value={"who": "x"})
    fail(tasks_of(run)[0], "broken")
    (row,) = runs.rows(include_payloads="false")
    assert (row["input"], row["output"], row["errorMessage"]) == ({}, {}, "broken")
    assert "payloadsRestricted" not in row


def test_a_member_who_may_not_see_payloads_does_not(cast: Cast, runs: Runs) -> None:
    Member.objects.filter(user=cast.viewer).update(can_view_payloads=False)
    run = start_run(cast.tenant, value={"who": "x"}, metadata={"k": "v"})
    complete(tasks_of(run)[0], {"greeting": "hi"})
    viewer = ApiClient(user=cast.viewer)
    (row,) = Runs(cast, viewer).rows()
    details = viewer.get(f"/api/v1/stable/workflow-runs/{run.id}").json
    task = viewer.get(f"/api/v1/stable/tasks/{run.id}").json
    for shown in (row, details["run"], *details["tasks"], task):
        assert (shown["input"], shown["output"]) == ({}, {})
        assert shown["payloadsRestricted"] is True
        assert shown["additionalMetadata"] == {"k": "v"}


def test_ids_counts_and_names_agree_with_the_list(cast: Cast, runs: Runs) -> None:
    wanted = start_run(cast.tenant, metadata={"a": "1"})
    start_run(cast.tenant)
    asked = {"since": (now() - timedelta(hours=1)).isoformat(), "additional_metadata": "a:1"}
    assert runs.client.get(f"{runs.path}/external-ids", asked).json == [str(wanted.id)]
    assert runs.client.get(f"{runs.path}/count", asked).json == {"count": 1}
    names = runs.client.get(f"{runs.path}/display-names", {"external_ids": str(wanted.id)}).json
    assert [row["displayName"] for row in names["rows"]] == [f"greet-{wanted.id.int >> 80}"]


@pytest.mark.parametrize("only_tasks", ["true", "false"])
def test_the_number_of_queries_does_not_grow_with_the_page(
    cast: Cast, runs: Runs, only_tasks: str
) -> None:
    make_workflow(cast.tenant, "dag", step("one"), step("two", "one"))

    def some_runs() -> None:
        for _ in range(3):
            complete(tasks_of(start_run(cast.tenant))[0], {})
            fail(tasks_of(start_run(cast.tenant, "dag"))[0], "broken")

    def queries() -> int:
        runs.rows(only_tasks=only_tasks)  # asks what the token stands for, once
        with CaptureQueriesContext(connection) as captured:
            runs.rows(only_tasks=only_tasks)
        return len(captured)

    some_runs()
    few = queries()
    some_runs()
    assert queries() == few
    assert few <= 10
    assert Task.objects.count() > 12


def test_runs_are_found_by_their_idempotency_keys(cast: Cast, runs: Runs) -> None:
    make_workflow(cast.tenant, "once", idempotency=Idempotency("input.order", 60_000))
    first, second = [
        str(start_run(cast.tenant, "once", {"order": order}).id) for order in ("o-1", "o-2")
    ]
    start_run(cast.tenant, "greet", {"order": "o-1"})
    for only_tasks in ("true", "false"):
        assert runs.ids(idempotency_keys="o-1", only_tasks=only_tasks) == [first]
        both = runs.ids(idempotency_keys=["o-1", "o-2", "o-3"], only_tasks=only_tasks)
        assert both == [second, first]
        assert runs.ids(idempotency_keys="o-3", only_tasks=only_tasks) == []
        row = runs.rows(idempotency_keys="o-1", only_tasks=only_tasks)[0]
        assert row["idempotencyKey"] == "o-1"


def test_a_run_whose_key_is_held_is_a_conflict(cast: Cast, runs: Runs) -> None:
    make_workflow(cast.tenant, "once", idempotency=Idempotency("input.order", 60_000))
    wanted = {"workflowName": "once", "input": {"order": "o-1"}}
    assert runs.client.post(f"{runs.path}/trigger", wanted).status == 200
    answer = runs.client.post(f"{runs.path}/trigger", wanted)
    assert (answer.status, answer.error) == (409, "idempotency key collision")
    assert len(runs.ids()) == 1
