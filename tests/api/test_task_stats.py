"""Task stats tell what waits and runs, and KEDA can scale workers by them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.domain.definition import Concurrency
from engine.models import Workflow
from engine.states import ConcurrencyStrategy
from tests.api.client import ApiClient
from tests.api.factories import begin, make_workflow, now, start_run, step, tasks_of
from tests.cast import Cast

ROUND_ROBIN = ConcurrencyStrategy.GROUP_ROUND_ROBIN


@pytest.fixture
def path(cast: Cast) -> str:
    return f"/api/v1/tenants/{cast.tenant.id}/task-stats"


def value_at(content: bytes, location: str) -> Any:
    """What KEDA's metrics-api scaler finds at a plain path: names with dots between them."""
    value = json.loads(content)
    for name in location.split("."):
        value = value[name]
    return value


def asked_by_keda(api: ApiClient, path: str, location: str, **query: str) -> float:
    """One poll: a GET with the bearer token; the answer must be 200 and the value a number, or KEDA fails."""
    answer = api.get(path, query or None)
    assert answer.status == 200
    value = value_at(answer.content, location)
    assert isinstance(value, int | float) and not isinstance(value, bool)
    return value


def test_keda_scales_out_and_back_to_nothing(cast: Cast, api: ApiClient, path: str) -> None:
    """As in the guide: `valueLocation` is my-task.queued.total, with no task named in the URL."""
    make_workflow(cast.tenant, "my-task")
    location = "my-task.queued.total"
    assert asked_by_keda(api, path, location) == 0
    runs = [start_run(cast.tenant, "my-task") for _ in range(3)]
    assert asked_by_keda(api, path, location) == 3
    assert asked_by_keda(api, path, location, taskNames="my-task,other") == 3
    for run in runs:
        begin(tasks_of(run)[0])
    assert asked_by_keda(api, path, location) == 0
    assert asked_by_keda(api, path, "my-task.running.total") == 3


def test_a_task_is_known_while_its_workflow_has_it(cast: Cast, api: ApiClient, path: str) -> None:
    make_workflow(cast.tenant, "one", step("old"))
    make_workflow(cast.tenant, "one", step("new"))
    make_workflow(cast.other_tenant, "theirs")
    assert set(api.get(path).json) == {"new"}
    Workflow.objects.filter(tenant=cast.tenant).update(deleted_at=now())
    assert api.get(path).json == {}


def test_tasks_are_told_by_the_keys_of_their_groups(cast: Cast, api: ApiClient, path: str) -> None:
    of_workflow = Concurrency("input.user", 2, ROUND_ROBIN)
    own = Concurrency("input.account", 3, ConcurrencyStrategy.CANCEL_NEWEST)
    make_workflow(
        cast.tenant, "my-task", step("my-task", concurrency=(own,)), concurrency=(of_workflow,)
    )
    for user in ("a", "a", "b"):
        start_run(cast.tenant, "my-task", {"user": user, "account": "x"})
    begin(tasks_of(start_run(cast.tenant, "my-task", {"user": "c", "account": "y"}))[0])
    stat = api.get(path).json["my-task"]
    queued = {group["expression"]: group for group in stat["queued"]["concurrency"]}
    assert queued["input.user"] == {
        "expression": "input.user",
        "type": "GROUP_ROUND_ROBIN",
        "keys": {"a": 2, "b": 1},
    }
    assert queued["input.account"]["keys"] == {"x": 3}
    running = {group["expression"]: group["keys"] for group in stat["running"]["concurrency"]}
    assert running == {"input.user": {"c": 1}, "input.account": {"y": 1}}


def test_the_tasks_of_a_graph_are_told_by_the_keys_of_their_run(
    cast: Cast, api: ApiClient, path: str
) -> None:
    make_workflow(
        cast.tenant,
        "graph",
        step("one"),
        step("two", "one"),
        concurrency=(Concurrency("input.user", 1, ROUND_ROBIN),),
    )
    start_run(cast.tenant, "graph", {"user": "a"})
    stats = api.get(path).json
    assert stats["one"]["queued"]["concurrency"][0]["keys"] == {"a": 1}
    assert stats["two"]["queued"] == {"total": 0, "queues": {}, "concurrency": []}


def test_long_keys_are_cut(cast: Cast, api: ApiClient, path: str) -> None:
    make_workflow(cast.tenant, "my-task", concurrency=(Concurrency("input.user", 1, ROUND_ROBIN),))
    for end in "ab":
        start_run(cast.tenant, "my-task", {"user": "x" * 9_000 + end})
    (group,) = api.get(path).json["my-task"]["queued"]["concurrency"]
    assert group["keys"] == {"x" * 256: 2}
