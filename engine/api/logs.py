"""What tasks logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Exists, OuterRef, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.event_shapes import log_floor
from engine.api.room import Room, packed
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView, TaskView
from engine.ids import id_at
from engine.models import LogLine, Task
from engine.models.names import load_names
from engine.models.task_queries import lean_tasks
from engine.models.wide_columns import Wide, wide_values
from engine.states import LogLevel
from tenants.rest.errors import AnyDict
from tenants.rest.paging import whole
from tenants.rest.params import Query
from tenants.rest.render import timestamp

MOST_LINES = 10_000


class Direction(Enum):
    ASC = "ASC"
    DESC = "DESC"


class TaskLogsView(TaskView):
    def get(self, request: Request, **_: Any) -> Response:
        task = self.task
        of_run = LogLine.objects.filter(run_id=task.run_id, id__gte=log_floor(task.run_id))
        lines = narrow(of_run.filter(task_id=task.id), self.query)
        names = load_names([], [task.step_id])
        name = names.task_display_name(task.id, task.step_id)
        return Response(whole(log_line_rows(list(lines), {task.id: name})))


class TenantLogsView(EngineView):
    """Log lines of all tasks of the tenant, or of those that are named."""

    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        since = query.moment("since") or datetime.now(UTC) - timedelta(days=1)
        lines = LogLine.objects.filter(tenant_id=self.tenant.id, id__gte=id_at(since))
        task_ids = query.uuids("taskExternalIds")
        if task_ids:
            named = Task.objects.filter(tenant_id=self.tenant.id, id__in=task_ids)
            run_ids = list(named.values_list("run_id", flat=True))
            lines = lines.filter(run_id__in=run_ids, task_id__in=task_ids)
        of_task = Q()
        for name, column in (("workflow_ids", "workflow_id__in"), ("step_ids", "step_id__in")):
            ids = query.uuids(name)
            if ids:
                of_task &= Q(**{column: ids})
        if of_task:
            lines = lines.filter(Exists(Task.objects.filter(of_task, id=OuterRef("task_id"))))
        found = list(narrow(lines, query))
        tasks = lean_tasks().in_bulk({line.task_id for line in found})
        names = load_names([], [task.step_id for task in tasks.values()])
        display_names = {
            task.id: names.task_display_name(task.id, task.step_id) for task in tasks.values()
        }
        return Response(whole(log_line_rows(found, display_names)))


def narrow(lines: QuerySet[LogLine], query: Query) -> QuerySet[LogLine]:
    """Apply the filters every list of log lines has, its order and its limit."""
    since, until = query.moment("since"), query.moment("until")
    if since is not None:
        lines = lines.filter(created_at__gt=since)
    if until is not None:
        lines = lines.filter(created_at__lt=until)
    search = query.text("search")
    if search is not None:
        lines = lines.filter(message__icontains=search)
    levels = query.members("levels", LogLevel)
    if levels:
        lines = lines.filter(level__in=levels)
    attempt = query.integer("attempt", 0, minimum=1)
    if attempt:
        lines = lines.filter(retry_count=attempt - 1)
    direction = query.member("order_by_direction", Direction, Direction.ASC)
    limit = query.integer("limit", 50, minimum=1, maximum=MOST_LINES)
    order = "id" if direction is Direction.ASC else "-id"
    return lines.order_by(order).defer("message", "metadata")[:limit]


def log_line_rows(
    lines: Sequence[LogLine], display_names: Mapping[UUID, str]
) -> list[orjson.Fragment]:
    room = Room()
    run_ids = {line.run_id for line in lines}
    texts = wide_values(
        LogLine.objects.filter(run_id__in=run_ids, id__in=[line.id for line in lines]),
        ["message", "metadata"],
        room=room.left,
    )
    return packed(
        _log_line_shape(line, texts.get(line.id, {}), display_names.get(line.task_id), room)
        for line in lines
    )


def _log_line_shape(
    line: LogLine, texts: Mapping[str, Wide], display_name: str | None, room: Room
) -> AnyDict:
    carried = room.json(texts.get("metadata"))
    return without_nones(
        {
            "createdAt": timestamp(line.created_at),
            "message": room.text(texts.get("message")) or "",
            "metadata": carried,
            "taskExternalId": str(line.task_id),
            "taskDisplayName": display_name,
            "retryCount": line.retry_count,
            "attempt": line.retry_count + 1,
            "level": LogLevel(line.level).name,
        }
    )
