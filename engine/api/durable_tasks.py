"""Durable tasks: their logs, restores of evicted ones, and resets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView, TaskView
from engine.domain.durable.calls import CURRENT_BRANCH, SIGNAL_BRANCH
from engine.models import DurableEntry, Task
from engine.models.names import load_names
from engine.models.wide_columns import Wide, wide_values
from engine.operations.durable.branch_tasks import branch_task
from engine.operations.durable.evict_tasks import restore_tasks
from engine.states import DurableKind
from engine.store import sync_db
from tenants.rest import in_body, in_query
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import AnyDict, ApiError
from tenants.rest.paging import MOST_ROWS, Page
from tenants.rest.render import timestamp

_LARGEST = 2**63 - 1


class RestoreView(TaskView):
    def post(self, request: Request, **_: Any) -> Response:
        """A task that is not evicted stays as it is, and that is no error."""
        now = datetime.now(UTC)
        with self.acting.on():
            sync_db.run(restore_tasks(self.tenant.id, [self.task.id], now))
        return Response({"requeued": True})


@dataclass(frozen=True, slots=True)
class Reset:
    """The node of a branch at which the task is to begin anew."""

    task_id: UUID = in_body.uuid("taskExternalId")
    node_id: int = in_body.whole("nodeId", minimum=1, maximum=_LARGEST)
    branch_id: int | None = in_body.optional_whole(
        "branchId", minimum=CURRENT_BRANCH, maximum=_LARGEST
    )


class BranchView(EngineView):
    @takes_body(Reset)
    def post(self, request: Request, wanted: Reset, **_: Any) -> Response:
        task_id, node_id = wanted.task_id, wanted.node_id
        branch_id = wanted.branch_id or CURRENT_BRANCH
        operation = branch_task(self.tenant.id, task_id, node_id, branch_id, datetime.now(UTC))
        with self.acting.on(task_id) as told:
            branch = sync_db.run(operation)
            told.update(node=node_id, branch=branch)
        return Response({"taskExternalId": str(task_id), "nodeId": node_id, "branchId": branch})


@dataclass(frozen=True, slots=True)
class LogPage(Page):
    limit: int = in_query.whole("limit", 1_000, minimum=1, maximum=MOST_ROWS)


class LogView(EngineView):
    path_ids = ("tenant", "task")

    @takes_query(LogPage)
    def get(self, request: Request, page: LogPage, **_: Any) -> Response:
        task = Task.objects.filter(id=self.ids["task"], tenant_id=self.tenant.id).first()
        if task is None:
            raise ApiError(404, "there is no such task")
        entries: QuerySet[DurableEntry] = (
            DurableEntry.objects.filter(task_id=task.id)
            .exclude(branch_id=SIGNAL_BRANCH)
            .defer("result", "error", "identity", "description", "detail")
            .order_by("branch_id", "node_id")
        )
        names = load_names([], [task.step_id])
        name = names.task_display_name(task.id, task.step_id)
        return Response(_entries(task.id, page.slice(entries), name))


def _entries(task_id: UUID, entries: Sequence[DurableEntry], name: str) -> list[orjson.Fragment]:
    room = Room()
    nodes = {entry.node_id for entry in entries}
    details = wide_values(
        DurableEntry.objects.filter(task_id=task_id, node_id__in=nodes, detail__isnull=False),
        ["detail"],
        room=room.left,
        key=("branch_id", "node_id"),
    )
    return packed(
        _entry(entry, name, details.get((entry.branch_id, entry.node_id), {}).get("detail"), room)
        for entry in entries
    )


def _entry(entry: DurableEntry, name: str, detail: Wide | None, room: Room) -> AnyDict:
    shown = room.list(detail)
    return without_nones(
        {
            "nodeId": entry.node_id,
            "branchId": entry.branch_id,
            "kind": DurableKind(entry.kind).name,
            "waitData": shown,
            "waitDataOmittedBytes": detail.length if detail and shown is None else None,
            "isSatisfied": entry.satisfied_at is not None,
            "satisfiedAt": timestamp(entry.satisfied_at),
            "insertedAt": timestamp(entry.created_at),
            "userMessage": entry.label,
            "taskExternalId": str(entry.task_id),
            "taskDisplayName": name,
        }
    )
