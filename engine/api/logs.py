"""What tasks logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Exists, OuterRef, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.buckets import Buckets
from engine.api.event_shapes import log_floor
from engine.api.room import Room, packed
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView, TaskView
from engine.ids import id_at
from engine.models import LogLine, Task
from engine.models.metric_queries import levels_by_bucket
from engine.models.names import load_names
from engine.models.task_queries import lean_tasks
from engine.models.wide_columns import Wide, wide_values
from engine.states import LogLevel
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import AnyDict
from tenants.rest.paging import whole
from tenants.rest.render import timestamp

MOST_LINES = 10_000


class Direction(Enum):
    ASC = "ASC"
    DESC = "DESC"


@dataclass(frozen=True, slots=True)
class LineFilter:
    """The filters that lists and counts of log lines have."""

    since: datetime | None = in_query.moment("since")
    until: datetime | None = in_query.moment("until")
    search: str | None = in_query.text("search")
    levels: list[LogLevel] = in_query.members("levels", LogLevel)

    def among(self, lines: QuerySet[LogLine]) -> QuerySet[LogLine]:
        wanted = Q()
        if self.since is not None:
            wanted &= Q(created_at__gt=self.since)
        if self.until is not None:
            wanted &= Q(created_at__lt=self.until)
        if self.search is not None:
            wanted &= Q(message__icontains=self.search)
        if self.levels:
            wanted &= Q(level__in=self.levels)
        return lines.filter(wanted)


@dataclass(frozen=True, slots=True)
class LineSelection:
    """The filters every list of log lines has, its order and its limit."""

    filter: LineFilter = part(LineFilter)
    attempt: int | None = in_query.optional_whole("attempt", minimum=1)
    direction: Direction = in_query.member("order_by_direction", Direction, Direction.ASC)
    limit: int = in_query.whole("limit", 50, minimum=1, maximum=MOST_LINES)

    def among(self, lines: QuerySet[LogLine]) -> QuerySet[LogLine]:
        found = self.filter.among(lines)
        if self.attempt is not None:
            found = found.filter(retry_count=self.attempt - 1)
        order = "id" if self.direction is Direction.ASC else "-id"
        return found.order_by(order).defer("message", "metadata")[: self.limit]


@dataclass(frozen=True, slots=True)
class TasksOfLines:
    """Whose lines are meant: those of all tasks of the tenant, or of some."""

    task_ids: list[UUID] = in_query.uuids("taskExternalIds")
    workflow_ids: list[UUID] = in_query.uuids("workflow_ids")
    step_ids: list[UUID] = in_query.uuids("step_ids")

    def lines(self, tenant_id: UUID, since: datetime) -> QuerySet[LogLine]:
        lines = LogLine.objects.filter(tenant_id=tenant_id, id__gte=id_at(since))
        if self.task_ids:
            named = Task.objects.filter(tenant_id=tenant_id, id__in=self.task_ids)
            run_ids = list(named.values_list("run_id", flat=True))
            lines = lines.filter(run_id__in=run_ids, task_id__in=self.task_ids)
        of_task = self._of_task()
        if of_task:
            lines = lines.filter(Exists(Task.objects.filter(of_task, id=OuterRef("task_id"))))
        return lines

    def _of_task(self) -> Q:
        wanted = Q()
        if self.workflow_ids:
            wanted &= Q(workflow_id__in=self.workflow_ids)
        if self.step_ids:
            wanted &= Q(step_id__in=self.step_ids)
        return wanted


@dataclass(frozen=True, slots=True)
class TenantLineSelection:
    lines: LineSelection = part(LineSelection)
    tasks: TasksOfLines = part(TasksOfLines)


@dataclass(frozen=True, slots=True)
class CountedLines:
    lines: LineFilter = part(LineFilter)
    tasks: TasksOfLines = part(TasksOfLines)


class TaskLogsView(TaskView):
    @takes_query(LineSelection)
    def get(self, request: Request, wanted: LineSelection, **_: Any) -> Response:
        task = self.task
        of_run = LogLine.objects.filter(run_id=task.run_id, id__gte=log_floor(task.run_id))
        lines = wanted.among(of_run.filter(task_id=task.id))
        names = load_names([], [task.step_id])
        name = names.task_display_name(task.id, task.step_id)
        return Response(whole(log_line_rows(list(lines), {task.id: name})))


class TenantLogsView(EngineView):
    """Log lines of all tasks of the tenant, or of those that are named."""

    @takes_query(TenantLineSelection)
    def get(self, request: Request, wanted: TenantLineSelection, **_: Any) -> Response:
        since = wanted.lines.filter.since or datetime.now(UTC) - timedelta(days=1)
        lines = wanted.tasks.lines(self.tenant.id, since)
        found = list(wanted.lines.among(lines))
        tasks = lean_tasks().in_bulk({line.task_id for line in found})
        names = load_names([], [task.step_id for task in tasks.values()])
        display_names = {
            task.id: names.task_display_name(task.id, task.step_id) for task in tasks.values()
        }
        return Response(whole(log_line_rows(found, display_names)))


class TenantLogMetricsView(EngineView):
    """Log lines by their level and the time they were written, empty buckets included."""

    @takes_query(CountedLines)
    def get(self, request: Request, wanted: CountedLines, **_: Any) -> Response:
        span = Buckets.between(wanted.lines.since, wanted.lines.until, names=("since", "until"))
        lines = wanted.lines.among(wanted.tasks.lines(self.tenant.id, span.since))
        counts = levels_by_bucket(lines, span.start, span.until, span.width)
        results = [
            {"time": timestamp(at)} | {level.name: counts.get((at, level), 0) for level in LogLevel}
            for at in span.times()
        ]
        return Response({"results": results})


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
