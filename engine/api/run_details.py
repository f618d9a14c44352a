"""One run: itself, its tasks, its shape and its event log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.event_shapes import (
    event_rows,
    events_of_run,
    first_of_each_kind,
    load_messages,
)
from engine.api.payloads import Payloads, load_payloads
from engine.api.room import Room
from engine.api.run_shapes import NO_TASK, run_shape, task_summary
from engine.api.runs import tasks_of_runs
from engine.api.task_timings import timings_of
from engine.api.views import RunView
from engine.models import Run, Task, TaskEvent
from engine.models.names import Names, load_names
from engine.models.versions import ShownVersion, shown_version
from engine.states import Status
from tenants.rest import in_query
from tenants.rest.accepted import takes_query
from tenants.rest.errors import AnyDict
from tenants.rest.paging import Page, whole

DEEPEST = 10
MOST_EVENTS = 10_000


class RunDetailView(RunView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(run_details(self.run, may_view=self.access.can_view_payloads))


class RunStatusView(RunView):
    def get(self, request: Request, **_: Any) -> Response:
        return Response(Status(self.run.status).name)


class RunEventsView(RunView):
    @takes_query(Page)
    def get(self, request: Request, _page: Page, **_: Any) -> Response:
        """All events, whatever page is asked for."""
        tasks = tasks_of_runs([self.run])
        payloads = load_payloads(
            run_ids=[], tasks=tasks, wanted=False, may_view=True, room=Room(), every_attempt=True
        )
        names = load_names([], [task.step_id for task in tasks])
        return Response(whole(_event_rows(_events(self.run), tasks, names, payloads)))


@dataclass(frozen=True, slots=True)
class Depth:
    """How many levels of spawned runs are shown below this one."""

    depth: int = in_query.whole("depth", 0, minimum=0, maximum=DEEPEST)


class RunTimingsView(RunView):
    @takes_query(Depth)
    def get(self, request: Request, wanted: Depth, **_: Any) -> Response:
        return Response(whole(timings_of(self.run, wanted.depth)))


def run_details(run: Run, *, may_view: bool) -> AnyDict:
    """Everything about a run, as it stands now (V1WorkflowRunDetails)."""
    tasks = tasks_of_runs([run])
    payloads = load_payloads(
        run_ids=[run.id],
        tasks=tasks,
        wanted=True,
        may_view=may_view,
        room=Room(),
        every_attempt=True,
        first_owners=[run.id],
    )
    return details_of(run, tasks, payloads, _events(run))


def details_of(
    run: Run, tasks: Sequence[Task], payloads: Payloads, events: Sequence[TaskEvent]
) -> AnyDict:
    """The details of a run whose rows are known; its events are newest first."""
    version = shown_version(run.version_id)
    names = load_names([run.workflow_id], [task.step_id for task in tasks])
    return {
        "run": run_shape(run, tasks, names, payloads),
        "tasks": [task_summary(task, run, names, payloads) for task in reversed(tasks)],
        "taskEvents": _event_rows(events, tasks, names, payloads),
        "shape": _shape(version, tasks),
        "workflowConfig": orjson.Fragment(version.definition),
    }


def _events(run: Run) -> list[TaskEvent]:
    return first_of_each_kind(events_of_run(run.id)[:MOST_EVENTS])


def _event_rows(
    events: Sequence[TaskEvent], tasks: Sequence[Task], names: Names, payloads: Payloads
) -> list[AnyDict]:
    display_names = {task.id: names.task_display_name(task.id, task.step_id) for task in tasks}
    messages = load_messages(events, payloads.room)
    return event_rows(events, messages, payloads, display_names.get)


def _shape(version: ShownVersion, tasks: Sequence[Task]) -> list[AnyDict]:
    """One entry for every step of the version, created or not, with the steps that depend on it."""
    task_ids: dict[UUID, UUID] = {task.step_id: task.id for task in tasks}
    return [
        {
            "taskExternalId": str(task_ids.get(step.id, NO_TASK)),
            "stepId": str(step.id),
            "taskName": step.readable_id,
            "childrenStepIds": [str(child) for child in step.children],
        }
        for step in version.steps
    ]
