"""However much runs, events and settings carry, an answer about many of them stays small."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from engine.api import dags, room, task_timings
from engine.models import Cron, DurableEntry, Filter, LogLine, Run, Schedule, Worker
from engine.models.definitions import Workflow
from engine.operations.trigger_runs import trigger_runs
from engine.states import DurableKind, LogLevel
from engine.store import sync_db
from engine.types import TriggerRequest
from tests.api.client import Answer, ApiClient
from tests.api.factories import (
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
from tests.api.load import failures_of
from tests.cast import Cast
from tests.fetched import counting_bytes

MESSAGE = 10_000
LARGE = 9_000
MANY = 60
MOST = 8 * MESSAGE + MANY * 2_500
"""The room an answer has for large values, and what its rows take besides."""
RUNS = "V1TaskSummaryList"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _small_messages(installation: Any, settings: Settings) -> None:
    settings.HATCHET = replace(installation, grpc_max_message_bytes=MESSAGE)


@pytest.fixture
def stable(cast: Cast) -> str:
    return f"/api/v1/stable/tenants/{cast.tenant.id}"


@pytest.fixture
def tenant(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}"


def large(number: int = 0) -> dict[str, str]:
    return {"n": str(number), "text": "x" * LARGE}


def ask(
    api: ApiClient,
    path: str,
    query: dict[str, Any] | None = None,
    *,
    most: int = MOST,
    model: str | None = None,
) -> Any:
    """Ask; the answer is within bounds, and the official SDK's model loads it."""
    with counting_bytes() as fetched:
        answer: Answer = api.get(path, query)
    assert answer.status == 200, answer.content[:500]
    assert len(answer.content) < most
    assert fetched.bytes < most
    if model is not None:
        assert failures_of([[path, model, answer.json]]) == {}
    return answer.json


def start_many(cast: Cast, name: str = "greet", metadata: object = None) -> list[Run]:
    wanted = [
        TriggerRequest(
            name,
            orjson.dumps(large(number)),
            None if metadata is None else orjson.dumps(metadata),
        )
        for number in range(MANY)
    ]
    ids = sync_db.run(trigger_runs(cast.tenant.id, wanted, now()))
    return list(Run.objects.filter(id__in=ids).order_by("-id"))


def runs_query(**query: Any) -> dict[str, Any]:
    since = (now() - timedelta(hours=1)).isoformat()
    return {"since": since, "only_tasks": "false", "limit": 100} | query


@pytest.mark.parametrize("only_tasks", ["true", "false"])
def test_runs_with_large_inputs_are_all_listed(
    cast: Cast, api: ApiClient, stable: str, only_tasks: str
) -> None:
    make_workflow(cast.tenant)
    runs = start_many(cast)
    rows = ask(api, f"{stable}/workflow-runs", runs_query(only_tasks=only_tasks), model=RUNS)[
        "rows"
    ]
    assert [row["metadata"]["id"] for row in rows] == [str(run.id) for run in runs]
    whole = [row["input"] for row in rows if "text" in row["input"]]
    left_out = [row["input"] for row in rows if "text" not in row["input"]]
    assert len(whole) >= 5
    length = len(orjson.dumps(large()))
    assert {each["hatchet__omitted_bytes"] for each in left_out} <= {length, length + 1}


@pytest.mark.parametrize("only_tasks", ["true", "false"])
def test_runs_with_large_metadata_are_all_listed(
    cast: Cast, api: ApiClient, stable: str, only_tasks: str
) -> None:
    make_workflow(cast.tenant)
    start_many(cast, metadata=large())
    query = runs_query(only_tasks=only_tasks, include_payloads="false")
    rows = ask(api, f"{stable}/workflow-runs", query, model=RUNS)["rows"]
    assert len(rows) == MANY
    assert sum("text" in row["additionalMetadata"] for row in rows) >= 5
    assert sum("hatchet__omitted_bytes" in row["additionalMetadata"] for row in rows) > 0


def test_small_payloads_are_shown_beside_large_ones(
    cast: Cast, api: ApiClient, stable: str
) -> None:
    make_workflow(cast.tenant)
    small = start_run(cast.tenant, value={"who": "x"})
    start_many(cast)
    rows = ask(api, f"{stable}/workflow-runs", runs_query())["rows"]
    inputs = {row["metadata"]["id"]: row["input"] for row in rows}
    assert inputs[str(small.id)] == {"who": "x"}


def test_failures_with_large_errors_are_all_listed(cast: Cast, api: ApiClient, stable: str) -> None:
    make_workflow(cast.tenant)
    for run in start_many(cast)[:20]:
        fail(tasks_of(run)[0], "e" * LARGE)
    for only_tasks in ("true", "false"):
        query = runs_query(only_tasks=only_tasks, include_payloads="false", statuses="FAILED")
        rows = ask(api, f"{stable}/workflow-runs", query, model=RUNS)["rows"]
        errors = [row["errorMessage"] for row in rows]
        assert len(errors) == 20
        assert errors.count("e" * LARGE) >= 5
        assert any("left out" in error for error in errors)


def test_a_page_of_many_graphs_is_bounded(cast: Cast, api: ApiClient, stable: str) -> None:
    make_workflow(cast.tenant, "graph", *(step(f"s{number}") for number in range(20)))
    start_many(cast, "graph")
    query = runs_query()
    rows = ask(api, f"{stable}/workflow-runs", query, most=MOST + MANY * 20 * 1_500)["rows"]
    assert len(rows) == MANY
    assert all(len(row["children"]) == 20 for row in rows)


def test_a_run_is_shown_whole_and_its_tasks_as_far_as_there_is_room(
    cast: Cast, api: ApiClient, stable: str
) -> None:
    make_workflow(cast.tenant, "graph", *(step(f"s{number:02}") for number in range(30)))
    run = start_run(cast.tenant, "graph", value=large(), metadata=large())
    for task in tasks_of(run):
        complete(task, large())
    shown = ask(
        api,
        f"/api/v1/stable/workflow-runs/{run.id}",
        most=8 * MESSAGE + 30 * 12_000,
        model="V1WorkflowRunDetails",
    )
    assert shown["run"]["input"] == large()
    assert len(shown["tasks"]) == 30
    outputs = shown["run"]["output"]
    assert len(outputs) == 30
    assert sum("text" in output for output in outputs.values()) >= 3
    assert all(
        "text" in output or "hatchet__omitted_bytes" in output for output in outputs.values()
    )
    children = {
        "dag_ids": str(run.id),
        "tenant": str(cast.tenant.id),
    }
    signed_in = ApiClient(user=cast.owner)
    (dag,) = ask(signed_in, "/api/v1/stable/dags/tasks", children, most=MOST)
    assert len(dag["children"]) == 30


def test_a_single_run_of_the_largest_size_is_never_cut(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant, value=large(), metadata=large())
    complete(tasks_of(run)[0], large(1))
    shown = api.get(f"/api/v1/stable/workflow-runs/{run.id}").json
    for row in (shown["run"], shown["tasks"][0]):
        assert (row["input"], row["output"]) == (large(), large(1))
        assert row["additionalMetadata"] == large()
    task = api.get(f"/api/v1/stable/tasks/{run.id}").json
    assert (task["input"], task["output"]) == (large(), large(1))


def test_a_run_with_many_large_errors(cast: Cast, api: ApiClient) -> None:
    make_workflow(cast.tenant, "greet", step("greet", retries=30))
    run = start_run(cast.tenant)
    for retry_count in range(30):
        task = tasks_of(run)[0]
        fail(task, "e" * LARGE, retry_count=retry_count)
    for path in (f"workflow-runs/{run.id}", f"tasks/{run.id}/task-events"):
        shown = ask(api, f"/api/v1/stable/{path}")
        events = shown.get("taskEvents") or shown.get("rows")
        errors = [event["errorMessage"] for event in events if event["eventType"] == "FAILED"]
        assert len(errors) == 30
        assert errors.count("e" * LARGE) >= 3


def test_a_page_of_thousands_is_one_page(cast: Cast, api: ApiClient, stable: str) -> None:
    make_workflow(cast.tenant)
    wanted = [TriggerRequest("greet", b"{}")] * 1_100
    ids = sync_db.run(trigger_runs(cast.tenant.id, wanted, now()))
    for only_tasks in ("true", "false"):
        query = runs_query(only_tasks=only_tasks, limit=20_000)
        rows = api.get(f"{stable}/workflow-runs", query).json["rows"]
        expected = sorted(map(str, ids), reverse=True)
        assert [row["metadata"]["id"] for row in rows] == expected
    assert api.get(f"{stable}/workflow-runs", runs_query(limit=20_001)).status == 400


def test_events(cast: Cast, api: ApiClient, stable: str) -> None:
    for number in range(MANY):
        push_event(cast.tenant, "order:paid", large(number), metadata=large(number))
    rows = ask(api, f"{stable}/events", {"limit": 100}, model="V1EventList")["rows"]
    assert len(rows) == MANY
    assert sum("text" in row["payload"] for row in rows) >= 3
    one = api.get(f"{stable}/events/{rows[-1]['metadata']['id']}").json
    assert one["payload"] == one["additionalMetadata"] == large()


def test_logs(cast: Cast, api: ApiClient, stable: str) -> None:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    for _ in range(MANY):
        LogLine.objects.create(
            run_id=run.id,
            task_id=run.id,
            tenant_id=cast.tenant.id,
            retry_count=0,
            level=LogLevel.INFO,
            message="m" * LARGE,
            metadata=large(),
            created_at=now(),
        )
    for path in (f"/api/v1/stable/tasks/{run.id}/logs", f"{stable}/logs"):
        rows = ask(api, path, {"limit": 1_000}, model="V1LogLineList")["rows"]
        assert len(rows) == MANY
        assert sum(row["message"] == "m" * LARGE for row in rows) >= 3
        assert any("left out" in row["message"] for row in rows)


def test_crons_schedules_and_filters(cast: Cast, api: ApiClient, stable: str, tenant: str) -> None:
    workflow = Workflow.objects.get(id=make_workflow(cast.tenant).workflow_id)
    common: dict[str, Any] = {
        "tenant": cast.tenant,
        "workflow": workflow,
        "created_at": now(),
        "updated_at": now(),
    }
    carried = {"input": orjson.dumps(large()), "additional_metadata": large()}
    for number in range(MANY):
        Cron.objects.create(
            **common, **carried, name=f"c{number}", expression="0 0 1 1 *", is_declared=False
        )
        Schedule.objects.create(**common, **carried, trigger_at=now() + timedelta(days=1))
        Filter.objects.create(
            **common,
            scope="s",
            expression="'" + "e" * LARGE + "' == input.x",
            payload=orjson.dumps(large()),
            digest=number.to_bytes(32, "big"),
            is_declared=False,
        )
    for path, field, model in (
        (f"{tenant}/workflows/crons", "input", "CronWorkflowsList"),
        (f"{tenant}/workflows/scheduled", "input", "ScheduledWorkflowsList"),
        (f"{stable}/filters", "payload", "V1FilterList"),
    ):
        rows = ask(api, path, {"limit": 100}, model=model)["rows"]
        assert len(rows) == MANY
        assert sum("text" in row[field] for row in rows) >= 3
        assert any("hatchet__omitted_bytes" in row[field] for row in rows)
        one = api.get(f"{path}/{rows[0]['metadata']['id']}").json
        assert one[field] == large()


def test_workflows_and_workers(cast: Cast, api: ApiClient, tenant: str) -> None:
    for number in range(MANY):
        make_workflow(cast.tenant, f"w{number}", description="d" * LARGE)
        make_worker(cast.tenant, labels={"text": "x" * LARGE}, runtime_extra="r" * LARGE)
    rows = ask(api, f"{tenant}/workflows", {"limit": 100}, model="WorkflowList")["rows"]
    assert len(rows) == MANY
    rows = ask(api, f"{tenant}/worker", model="WorkerList")["rows"]
    assert len(rows) == MANY
    assert any("hatchet__omitted_bytes" in row for row in rows)
    one = Worker.objects.first()
    assert one is not None
    shown = api.get(f"/api/v1/workers/{one.id}").json
    assert shown["labels"][0]["value"] == "x" * LARGE
    assert shown["actions"] == ["acts:greet"]
    assert any(row.get("actions") == ["acts:greet"] for row in rows)


def test_the_log_of_a_durable_task(cast: Cast, api: ApiClient, stable: str) -> None:
    make_workflow(cast.tenant, "greet", step("greet", is_durable=True, slots={"durable": 1}))
    run = start_run(cast.tenant)
    items = [{"kind": "USER_EVENT", "eventKey": "k" * LARGE}]
    for number in range(1, MANY + 1):
        DurableEntry.objects.create(
            task_id=run.id,
            branch_id=1,
            node_id=number,
            kind=DurableKind.WAIT_FOR,
            is_awaited=True,
            identity=b"",
            detail=orjson.dumps(items).decode(),
            label="l" * 100,
            created_at=now(),
        )
    entries = ask(api, f"{stable}/durable-tasks/{run.id}")
    assert [entry["nodeId"] for entry in entries] == list(range(1, MANY + 1))
    assert sum(entry.get("waitData") == items for entry in entries) >= 3
    assert any(entry.get("waitDataOmittedBytes") for entry in entries)
    shown = next(entry for entry in entries if "waitData" in entry)
    assert failures_of([["entry", "V1DurableEventLogEntry", shown]]) == {}


def test_graphs_beyond_what_a_list_has_room_for_say_how_many_tasks_they_have(
    cast: Cast, api: ApiClient, stable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST_CHILDREN", 5)
    make_workflow(cast.tenant, "graph", step("a"), step("b"))
    made = [start_run(cast.tenant, "graph") for _ in range(4)]
    rows = ask(api, f"{stable}/workflow-runs", runs_query(), model=RUNS)["rows"]
    assert [row["metadata"]["id"] for row in rows] == [str(run.id) for run in reversed(made)]
    assert [len(row.get("children", ())) for row in rows] == [2, 2, 0, 0]
    assert [row["output"] for row in rows[2:]] == [{"hatchet__omitted_tasks": 2}] * 2
    assert {row["type"] for row in rows} == {"DAG"}


def test_too_many_tasks_of_graphs_are_refused(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dags, "MOST_CHILDREN", 3)
    make_workflow(cast.tenant, "graph", step("a"), step("b"))
    ids = [str(start_run(cast.tenant, "graph").id) for _ in range(2)]
    asked: dict[str, Any] = {"tenant": str(cast.tenant.id), "dag_ids": ids}
    refused = api.get("/api/v1/stable/dags/tasks", asked)
    assert (refused.status, "name fewer runs" in refused.error) == (400, True)
    assert api.get("/api/v1/stable/dags/tasks", asked | {"dag_ids": ids[:1]}).status == 200


def test_too_many_timings_are_refused(
    cast: Cast, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_timings, "MOST_TASKS", 2)
    make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    for index in range(2):
        start_run(cast.tenant, parent_task_id=run.id, child_index=index)
    path = f"/api/v1/stable/workflow-runs/{run.id}/task-timings"
    assert len(api.get(path).json["rows"]) == 1
    refused = api.get(path, {"depth": 1})
    assert (refused.status, "fewer levels" in refused.error) == (400, True)
