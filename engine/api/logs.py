"""What tasks logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.run_shapes import without_nones
from engine.api.spans import buckets_between
from engine.api.views import EngineView, TaskView
from engine.ids import time_of
from engine.models import LogLine, Task
from engine.models.names import load_names
from engine.models.task_queries import lean_tasks
from engine.models.wide_columns import Wide, wide_values
from engine.models.workflow_queries import steps_of
from engine.operations.search_log_lines import (
    MOST_LOOKED_AT,
    Found,
    count_log_lines,
    find_log_lines,
)
from engine.states import LogLevel
from engine.store import sync_db
from engine.store.log_lines import FoundLine, WantedLines
from tenants.rest import in_query
from tenants.rest.accepted import part, takes_query
from tenants.rest.errors import AnyDict, bad_request
from tenants.rest.paging import whole
from tenants.rest.render import timestamp

MOST_LINES = 10_000
LONGEST_SEARCH = 1_000
SEARCHED_TO = "X-Searched-To"
"""A header of answers that did not look at all lines: lines beyond this moment were not looked at."""
_A_MINUTE, _AN_INSTANT = timedelta(minutes=1), timedelta(microseconds=1)


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

    def wanted(self) -> WantedLines:
        text = self.search or ""
        if len(text) > LONGEST_SEARCH:
            raise bad_request(
                f"search may have at most {LONGEST_SEARCH} characters", field="search"
            )
        return WantedLines(self.since, self.until, text, self.levels)


@dataclass(frozen=True, slots=True)
class LineSelection:
    """The filters every list of log lines has, its order and its limit."""

    filter: LineFilter = part(LineFilter)
    attempt: int | None = in_query.optional_whole("attempt", minimum=1)
    direction: Direction = in_query.member("order_by_direction", Direction, Direction.ASC)
    limit: int = in_query.whole("limit", 50, minimum=1, maximum=MOST_LINES)

    def wanted(self) -> WantedLines:
        return replace(self.filter.wanted(), attempt=self.attempt)

    def find(self, tenant_id: UUID, wanted: WantedLines) -> Found:
        return sync_db.run(
            find_log_lines(
                tenant_id,
                wanted,
                limit=self.limit,
                is_newest_first=self.direction is Direction.DESC,
                looked_at=MOST_LOOKED_AT,
            )
        )

    def headers(self, found: Found) -> dict[str, str] | None:
        """Say how far was looked, in a way that asking on from there leaves out no line."""
        end = found.looked_until
        if end is None or len(found.lines) == self.limit:
            return None
        backwards = self.direction is Direction.DESC
        at = end.created_at + (_AN_INSTANT if backwards else -_AN_INSTANT)
        return searched_to(at)


@dataclass(frozen=True, slots=True)
class TasksOfLines:
    """Whose lines are meant: those of all tasks of the tenant, or of some."""

    task_ids: list[UUID] = in_query.uuids("taskExternalIds")
    workflow_ids: list[UUID] = in_query.uuids("workflow_ids")
    step_ids: list[UUID] = in_query.uuids("step_ids")

    def among(self, wanted: WantedLines, tenant_id: UUID) -> WantedLines:
        wanted = replace(wanted, step_ids=self._steps(tenant_id))
        if not self.task_ids:
            return wanted
        named = Task.objects.filter(tenant_id=tenant_id, id__in=self.task_ids)
        runs = list(named.values_list("run_id", flat=True))
        return replace(wanted, run_ids=runs, task_ids=self.task_ids)

    def _steps(self, tenant_id: UUID) -> list[UUID] | None:
        if not self.workflow_ids:
            return self.step_ids or None
        steps = steps_of(tenant_id, self.workflow_ids)
        if self.step_ids:
            steps = steps.filter(id__in=self.step_ids)
        return list(steps.values_list("id", flat=True))


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
        task, lines = self.task, wanted.wanted()
        of_task = replace(
            lines,
            since=lines.since or time_of(task.run_id) - _A_MINUTE,
            run_ids=[task.run_id],
            task_ids=[task.id],
        )
        found = wanted.find(task.tenant_id, of_task)
        names = load_names([], [task.step_id])
        name = names.task_display_name(task.id, task.step_id)
        rows = log_line_rows(found.lines, {task.id: name})
        return Response(whole(rows), headers=wanted.headers(found))


class TenantLogsView(EngineView):
    """Log lines of all tasks of the tenant, or of those that are named."""

    @takes_query(TenantLineSelection)
    def get(self, request: Request, wanted: TenantLineSelection, **_: Any) -> Response:
        lines = wanted.tasks.among(wanted.lines.wanted(), self.tenant.id)
        since = lines.since or datetime.now(UTC) - timedelta(days=1)
        found = wanted.lines.find(self.tenant.id, replace(lines, since=since))
        tasks = lean_tasks().in_bulk({line.task_id for line in found.lines})
        names = load_names([], [task.step_id for task in tasks.values()])
        display_names = {
            task.id: names.task_display_name(task.id, task.step_id) for task in tasks.values()
        }
        rows = log_line_rows(found.lines, display_names)
        return Response(whole(rows), headers=wanted.lines.headers(found))


class TenantLogMetricsView(EngineView):
    """Log lines by their level and the time they were written, empty buckets included."""

    @takes_query(CountedLines)
    def get(self, request: Request, wanted: CountedLines, **_: Any) -> Response:
        span = buckets_between(wanted.lines.since, wanted.lines.until, names=("since", "until"))
        lines = wanted.tasks.among(wanted.lines.wanted(), self.tenant.id)
        counted = sync_db.run(
            count_log_lines(
                self.tenant.id,
                replace(lines, since=lines.since or span.since),
                start=span.start,
                until=span.until,
                width=span.width,
                looked_at=MOST_LOOKED_AT,
            )
        )
        results = [
            {"time": timestamp(at)}
            | {level.name: counted.lines.get((at, level), 0) for level in LogLevel}
            for at in span.times()
            if counted.since is None or at > counted.since
        ]
        looked = None if counted.since is None else searched_to(counted.since)
        return Response({"results": results}, headers=looked)


def searched_to(moment: datetime) -> dict[str, str]:
    return {SEARCHED_TO: str(timestamp(moment))}


def log_line_rows(
    lines: Sequence[FoundLine], display_names: Mapping[UUID, str]
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
    line: FoundLine, texts: Mapping[str, Wide], display_name: str | None, room: Room
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
