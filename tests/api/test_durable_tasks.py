"""Durable tasks over REST: where they stand, their logs, restores and resets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.domain.durable.calls import Call, SpawnCall, WaitCall, WaitCondition
from engine.ids import new_id
from engine.models import DurableTask, Run, Task
from engine.operations.durable.evict_tasks import Eviction, evict_tasks
from engine.operations.durable.record_calls import record_calls
from engine.states import ConditionKind, Status, TaskEventKind
from engine.store import durable_tasks, sync_db
from engine.store.query import Operation, fetch
from engine.types import TriggerRequest
from tests.api.client import ApiClient
from tests.api.factories import begin, make_workflow, now, start_run, step, tasks_of
from tests.cast import Cast


def start_durable(cast: Cast) -> tuple[Run, Task]:
    """A durable task on a worker, in its first invocation."""
    make_workflow(cast.tenant, "long", step("long", is_durable=True, slots={"durable": 1}))
    make_workflow(cast.tenant, "child")
    run = start_run(cast.tenant, "long")
    (task,) = tasks_of(run)
    begin(task)
    sync_db.run(_begun(task))
    return run, task


def _begun(task: Task) -> Operation[Any]:
    return (yield from fetch(durable_tasks.begin([(task.id, task.tenant_id)])))


def call(task: Task, body: Any) -> None:
    operation = record_calls([Call(task.tenant_id, task.id, 1, body)], now())
    sync_db.run(operation)


def event(key: str, group: UUID | None = None) -> WaitCondition:
    return WaitCondition(ConditionKind.EVENT, group or new_id(), key, key)


def sleep(text: str, group: UUID | None = None) -> WaitCondition:
    return WaitCondition(ConditionKind.SLEEP, group or new_id(), text, f"sleep:{text}")


def evict(task: Task) -> None:
    sync_db.run(evict_tasks([Eviction(task.tenant_id, task.id, 1, "full", ())], now()))


def test_the_log_lists_every_call_and_what_it_waits_for(cast: Cast) -> None:
    _, task = start_durable(cast)
    group = new_id()
    call(task, WaitCall((sleep("90s"), sleep("2m", group), event("go", group)), "for a while"))
    call(task, SpawnCall((TriggerRequest("child", child_index=0),)))
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/durable-tasks/{task.id}"
    first, second = ApiClient(user=cast.member).get(path).json
    name = first.pop("taskDisplayName")
    assert name.startswith("long-")
    assert first.pop("insertedAt")
    assert first == {
        "nodeId": 1,
        "branchId": 1,
        "kind": "WAIT_FOR",
        "isSatisfied": False,
        "userMessage": "for a while",
        "taskExternalId": str(task.id),
        "waitData": [
            {"kind": "SLEEP", "sleepDurationMs": 90_000},
            {
                "or": [
                    {"kind": "SLEEP", "sleepDurationMs": 120_000},
                    {"kind": "USER_EVENT", "eventKey": "go"},
                ]
            },
        ],
    }
    assert (second["kind"], second["nodeId"]) == ("RUN", 2)
    assert second["waitData"] == [{"kind": "CHILD_WORKFLOW", "workflowName": "child"}]
    assert ApiClient(user=cast.member).get(f"{path}?limit=1&offset=1").json == [second]


def test_an_evicted_task_says_so_until_it_is_restored(cast: Cast) -> None:
    run, task = start_durable(cast)
    client = ApiClient(user=cast.member)
    call(task, WaitCall((sleep("1h"),)))
    one = client.get(f"/api/v1/stable/tasks/{task.id}").json
    assert (one["status"], one["isDurable"], one["isEvicted"]) == ("RUNNING", True, False)
    assert listed(cast, "EVICTED") == []
    assert listed(cast, "ON_WORKER") == [str(run.id)]
    evict(task)
    one = client.get(f"/api/v1/stable/tasks/{task.id}").json
    assert (one["status"], one["isEvicted"]) == ("RUNNING", True)
    assert listed(cast, "EVICTED") == [str(run.id)]
    assert listed(cast, "ON_WORKER") == []
    assert running(cast) == {"evicted": 1, "onWorker": 0}
    for _ in range(2):
        answer = client.post(f"/api/v1/stable/tasks/{task.id}/restore", {})
        assert (answer.status, answer.json) == (200, {"requeued": True})
    one = client.get(f"/api/v1/stable/tasks/{task.id}").json
    assert (one["status"], one["isEvicted"]) == ("RUNNING", False)
    events = client.get(f"/api/v1/stable/tasks/{task.id}/task-events").json["rows"]
    kinds = [row["eventType"] for row in events]
    assert kinds.count("DURABLE_RESTORING") == kinds.count("DURABLE_EVICTED") == 1
    assert TaskEventKind.DURABLE_EVICTED.name in kinds


def listed(cast: Cast, running_filter: str) -> list[str]:
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/workflow-runs"
    since = (now() - timedelta(hours=1)).isoformat().replace("+", "%2B")
    ids = []
    for only_tasks in ("true", "false"):
        query = f"since={since}&only_tasks={only_tasks}&running_filter={running_filter}"
        rows = ApiClient(user=cast.member).get(f"{path}?{query}&statuses=RUNNING").json["rows"]
        ids.append([row["workflowRunExternalId"] for row in rows])
    assert ids[0] == ids[1]
    return ids[0]


def running(cast: Cast) -> dict[str, int]:
    since = (now() - timedelta(hours=1)).isoformat().replace("+", "%2B")
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/task-metrics?since={since}"
    (found,) = [
        row for row in ApiClient(user=cast.member).get(path).json if row["status"] == "RUNNING"
    ]
    detail: dict[str, int] = found["runningDetailCount"]
    return detail


def test_an_ordinary_task_is_not_durable(cast: Cast) -> None:
    make_workflow(cast.tenant)
    run = start_run(cast.tenant)
    one = ApiClient(user=cast.member).get(f"/api/v1/stable/tasks/{run.id}").json
    assert (one["isDurable"], one["isEvicted"]) == (False, False)
    answer = ApiClient(user=cast.member).post(f"/api/v1/stable/tasks/{run.id}/restore", {})
    assert answer.json == {"requeued": True}
    assert Task.objects.get(id=run.id).status == Status.QUEUED


def test_a_task_is_run_again_from_a_node_on(cast: Cast) -> None:
    _, task = start_durable(cast)
    call(task, WaitCall((sleep("1h"),)))
    call(task, WaitCall((sleep("2h"),)))
    client = ApiClient(user=cast.member)
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/durable-tasks/branch"
    wanted = {"taskExternalId": str(task.id), "nodeId": 2, "branchId": 1}
    answer = client.post(path, wanted)
    assert (answer.status, answer.json) == (200, {**wanted, "branchId": 2})
    after = Task.objects.get(id=task.id)
    assert (after.status, after.retry_count) == (Status.QUEUED, 1)
    for wrong in (
        {"nodeId": 0},
        {"nodeId": "1"},
        {"nodeId": None},
        {"branchId": 99},
        {"taskExternalId": "x"},
    ):
        assert client.post(path, wanted | wrong).status == 400, wrong
    assert client.post(path, wanted | {"taskExternalId": str(new_id())}).status == 404


@pytest.mark.parametrize("current", [{}, {"branchId": 0}, {"branchId": None}])
def test_without_a_number_the_branch_it_is_on_is_meant(
    cast: Cast, current: dict[str, int | None]
) -> None:
    _, task = start_durable(cast)
    call(task, WaitCall((sleep("1h"),)))
    call(task, WaitCall((sleep("2h"),)))
    client = ApiClient(user=cast.member)
    path = f"/api/v1/stable/tenants/{cast.tenant.id}/durable-tasks/branch"
    wanted = {"taskExternalId": str(task.id), "nodeId": 2}
    for branch in (2, 3):
        answer = client.post(path, wanted | current)
        assert (answer.status, answer.json) == (200, {**wanted, "branchId": branch})
    (forks,) = DurableTask.objects.filter(task_id=task.id).values_list("forks", flat=True)
    assert json.loads(forks or "") == [[1, 2], [2, 2]]


def test_strangers_learn_nothing(cast: Cast) -> None:
    _, task = start_durable(cast)
    call(task, WaitCall((sleep("1h"),)))
    evict(task)
    other = f"/api/v1/stable/tenants/{cast.other_tenant.id}/durable-tasks"
    client = ApiClient(user=cast.stranger)
    assert client.get(f"{other}/{task.id}").status == 404
    branch = {"taskExternalId": str(task.id), "nodeId": 1, "branchId": 1}
    assert client.post(f"{other}/branch", branch).status == 404
    assert client.post(f"/api/v1/stable/tasks/{task.id}/restore", {}).status == 401
    assert Task.objects.get(id=task.id).status == Status.RUNNING
