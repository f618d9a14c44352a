"""A run and the runs that its tasks spawned, and theirs: level by level, as far as there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.run_shapes import times, without_nones
from engine.api.runs import numbers_of_children
from engine.api.views import EngineView
from engine.models import Run
from engine.models.names import Names, load_names
from engine.models.run_queries import lean_runs
from engine.models.tree_queries import child_counts, tasks_by_run
from engine.states import Status
from engine.store import runs, sync_db
from engine.store.query import fetch
from tenants.rest import in_query
from tenants.rest.accepted import takes_query
from tenants.rest.errors import AnyDict, ApiError
from tenants.rest.render import timestamp

MOST_NODES = 1_000
MOST_TASKS = 10_000
"""Of one level, whose children are looked for."""


@dataclass(frozen=True, slots=True)
class TreeBounds:
    depth: int = in_query.whole("depth", 3, minimum=0, maximum=10)
    limit: int = in_query.whole("limit", 200, minimum=1, maximum=MOST_NODES)


@dataclass(slots=True)
class Node:
    run: Run
    counts: Counter[Status] | None = None
    """Of all its children, None if nobody counted."""
    children: list[Node] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return self.counts is not None and self.counts.total() == len(self.children)


class RunTreeView(EngineView):
    """A run with its children and theirs, the oldest first; levels share what may be shown."""

    path_ids: ClassVar[tuple[str, ...]] = ("tenant", "run")
    run: Run

    def check_resource(self) -> None:
        run = lean_runs().filter(tenant_id=self.tenant.id, id=self.ids["run"]).first()
        if run is None:
            raise ApiError(404, "there is no such run")
        self.run = run

    @takes_query(TreeBounds)
    def get(self, request: Request, bounds: TreeBounds, **_: Any) -> Response:
        root = Node(self.run)
        nodes = _grow(root, bounds)
        names = load_names([node.run.workflow_id for node in nodes], [])
        return Response(
            {
                "root": _shape(root, names),
                "nodes": len(nodes),
                "isComplete": all(node.is_complete for node in nodes),
            }
        )


def _grow(root: Node, bounds: TreeBounds) -> list[Node]:
    """Give the root its tree, a level at a time; return all its nodes."""
    every, level = [root], [root]
    for depth in range(bounds.depth + 1):
        counts, spawners = _count(level)
        left = bounds.limit - len(every)
        if depth == bounds.depth or left <= 0 or not counts:
            break
        level = _adopt(root.run.tenant_id, spawners, counts, left)
        every += level
    return every


def _count(level: list[Node]) -> tuple[Mapping[UUID, Counter[Status]], dict[UUID, Node]]:
    """Count the children of these nodes; return them by task, and the node of each task.

    Nodes are left out when the ones before them have as many tasks as are looked at.
    """
    numbers = numbers_of_children([node.run for node in level])
    looked_at: list[Node] = []
    room = MOST_TASKS
    for node in level:
        room -= numbers.get(node.run.id, 1)
        if room < 0 and looked_at:
            break
        looked_at.append(node)
    by_id = {node.run.id: node for node in looked_at}
    spawners = {
        task_id: by_id[run_id]
        for run_id, task_ids in tasks_by_run([node.run for node in looked_at]).items()
        for task_id in task_ids
    }
    counts = child_counts(level[0].run.tenant_id, list(spawners))
    for node in looked_at:
        node.counts = Counter()
    for task_id, number in counts.items():
        found = spawners[task_id].counts
        assert found is not None
        found.update(number)
    return counts, spawners


def _adopt(
    tenant_id: UUID, spawners: Mapping[UUID, Node], parents: Iterable[UUID], most: int
) -> list[Node]:
    """Fetch the first children of these tasks, equally many of each, and hang them on their nodes."""
    task_ids = sorted(parents)[:most]
    each = most // len(task_ids)
    found = sync_db.run(fetch(runs.first_children(tenant_id, task_ids, each)))
    children = [Node(run) for run in lean_runs().filter(id__in=found).order_by("id")]
    for child in children:
        assert child.run.parent_task_id is not None
        spawners[child.run.parent_task_id].children.append(child)
    return children


def _shape(node: Node, names: Names) -> AnyDict:
    run, counts = node.run, node.counts
    told: AnyDict = {}
    if counts is not None:
        told["childCounts"] = {status.name: counts[status] for status in Status}
        told["omittedChildren"] = counts.total() - len(node.children)
    return without_nones(
        {
            "id": str(run.id),
            "displayName": names.run_display_name(run.id, run.workflow_id),
            "workflowId": str(run.workflow_id),
            "workflowName": names.workflows.get(run.workflow_id),
            "type": "DAG" if run.is_dag else "TASK",
            "status": Status(run.status).name,
            "createdAt": timestamp(run.created_at),
            **times(run.started_at, run.finished_at),
            "parentTaskExternalId": None if run.parent_task_id is None else str(run.parent_task_id),
            **told,
            "children": [_shape(child, names) for child in node.children],
        }
    )
