"""A run, the runs that its tasks spawned, and theirs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine.models import Run
from tests.api.client import ApiClient
from tests.api.factories import complete, make_workflow, start_run, step, tasks_of
from tests.cast import Cast


class Tree:
    def __init__(self, cast: Cast, api: ApiClient) -> None:
        self.base = f"/api/v1/stable/tenants/{cast.tenant.id}/runs"
        self.cast, self.api = cast, api

    def of(self, run: Run, **query: Any) -> Any:
        answer = self.api.get(f"{self.base}/{run.id}/tree", query)
        assert answer.status == 200, answer.content
        return answer.json

    def child(self, parent: Run, index: int = 0, name: str = "greet") -> Run:
        task = tasks_of(parent)[-1]
        return start_run(self.cast.tenant, name, parent_task_id=task.id, child_index=index)


def nested(node: Any) -> Any:
    """Ids of a node and of its children."""
    return {node["id"]: [nested(child) for child in node["children"]]}


def leaf(run: Run) -> Any:
    return {str(run.id): []}


@pytest.fixture
def tree(cast: Cast, api: ApiClient) -> Tree:
    make_workflow(cast.tenant)
    make_workflow(cast.tenant, "dag", step("one"), step("two"))
    return Tree(cast, api)


def test_children_hang_on_the_run_that_spawned_them(cast: Cast, tree: Tree) -> None:
    root = start_run(cast.tenant, "dag")
    first, second = tree.child(root), tree.child(root, 1, "dag")
    grandchild = tree.child(second)
    complete(tasks_of(first)[0], {})
    start_run(cast.tenant)
    answer = tree.of(root)
    assert (answer["nodes"], answer["isComplete"]) == (4, True)
    inner = {str(second.id): [leaf(grandchild)]}
    assert nested(answer["root"]) == {str(root.id): [leaf(first), inner]}
    shown = answer["root"]
    assert shown["type"] == "DAG"
    assert shown["workflowName"] == "dag"
    assert shown["childCounts"] == {
        "QUEUED": 1,
        "RUNNING": 0,
        "COMPLETED": 1,
        "FAILED": 0,
        "CANCELLED": 0,
    }
    assert shown["children"][0]["parentTaskExternalId"] == str(tasks_of(root)[-1].id)
    assert shown["children"][0]["status"] == "COMPLETED"
    assert tree.of(second)["root"] == shown["children"][1]


def test_a_level_beyond_the_depth_is_counted_and_not_shown(cast: Cast, tree: Tree) -> None:
    root = start_run(cast.tenant)
    child = tree.child(root)
    tree.child(child)
    answer = tree.of(root, depth=1)
    assert nested(answer["root"]) == {str(root.id): [leaf(child)]}
    (shown,) = answer["root"]["children"]
    assert (shown["omittedChildren"], shown["childCounts"]["QUEUED"]) == (1, 1)
    assert answer["isComplete"] is False
    assert tree.of(root, depth=0)["root"]["omittedChildren"] == 1


def test_siblings_share_what_may_be_shown(cast: Cast, tree: Tree) -> None:
    root = start_run(cast.tenant)
    many, few = tree.child(root), tree.child(root, 1)
    for index in range(6):
        tree.child(many, index)
    tree.child(few)
    answer = tree.of(root, limit=7)
    shown_of = {node["id"]: node for node in answer["root"]["children"]}
    assert len(shown_of[str(many.id)]["children"]) == 2
    assert shown_of[str(many.id)]["omittedChildren"] == 4
    assert len(shown_of[str(few.id)]["children"]) == 1
    assert answer["nodes"] == 6
    assert answer["isComplete"] is False
    assert tree.of(root, limit=1)["nodes"] == 1


def test_a_level_costs_the_same_however_wide_it_is(cast: Cast, tree: Tree) -> None:
    root = start_run(cast.tenant)
    tree.child(root)
    tree.of(root)
    with CaptureQueriesContext(connection) as narrow:
        tree.of(root)
    for index in range(1, 9):
        tree.child(root, index)
    with CaptureQueriesContext(connection) as wide:
        tree.of(root)
    assert len(wide) == len(narrow)


def test_runs_of_others_have_no_tree_here(cast: Cast, tree: Tree) -> None:
    make_workflow(cast.other_tenant)
    theirs = start_run(cast.other_tenant)
    for identity in (theirs.id, uuid4()):
        assert tree.api.get(f"{tree.base}/{identity}/tree").status == 404


@pytest.mark.parametrize("query", [{"depth": 11}, {"depth": -1}, {"limit": 0}, {"limit": 1001}])
def test_a_wrong_question_is_refused(cast: Cast, tree: Tree, query: dict[str, int]) -> None:
    run = start_run(cast.tenant)
    answer = tree.api.get(f"{tree.base}/{run.id}/tree", query)
    assert answer.status == 400
    assert tree.api.get(f"{tree.base}/x/tree").status == 400
