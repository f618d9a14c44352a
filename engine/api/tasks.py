"""One task: any of its attempts, and its event log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.event_shapes import event_rows, events_of_run, load_messages
from engine.api.payloads import Payloads, load_payloads
from engine.api.room import Room
from engine.api.run_shapes import task_summary, times, without_nones
from engine.api.views import TaskView
from engine.models import Run, Task
from engine.models.names import load_names
from engine.models.run_queries import lean_runs
from engine.operations import copy_schedulers
from engine.operations.explain_tasks import explain_tasks
from engine.states import Status, TaskEventKind
from engine.store import sync_db
from tenants.rest import in_query
from tenants.rest.accepted import takes_query
from tenants.rest.errors import AnyDict, ApiError
from tenants.rest.paging import MOST_ROWS, Page, count_up_to

_OUTCOMES = {
    TaskEventKind.FINISHED: Status.COMPLETED,
    TaskEventKind.SKIPPED: Status.COMPLETED,
    TaskEventKind.CANCELLED: Status.CANCELLED,
    TaskEventKind.FAILED: Status.FAILED,
    TaskEventKind.TIMED_OUT: Status.FAILED,
    TaskEventKind.SCHEDULING_TIMED_OUT: Status.FAILED,
    TaskEventKind.REASSIGNED: Status.FAILED,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """The first is 1; none given means the latest."""

    attempt: int | None = in_query.optional_whole("attempt", minimum=1)


class TaskDetailView(TaskView):
    @takes_query(Attempt)
    def get(self, request: Request, wanted: Attempt, **_: Any) -> Response:
        task = self.task
        attempt = wanted.attempt or task.retry_count + 1
        if attempt > task.retry_count + 1:
            raise ApiError(404, "there is no such attempt")
        run = lean_runs().filter(id=task.run_id).first()
        if run is None:
            raise ApiError(404, "there is no such task")
        payloads = load_payloads(
            run_ids=[run.id],
            tasks=[task],
            wanted=True,
            may_view=self.access.can_view_payloads,
            room=Room(),
            every_attempt=True,
            first_owners=[run.id, task.id],
        )
        names = load_names([task.workflow_id], [task.step_id])
        spawned = Run.objects.filter(tenant_id=task.tenant_id, parent_task_id=task.id).count()
        summary = task_summary(task, run, names, payloads, spawned)
        if attempt <= task.retry_count:
            summary = without_nones(summary | _earlier_attempt(task, attempt - 1, payloads))
        return Response(summary)


def _earlier_attempt(task: Task, retry_count: int, payloads: Payloads) -> AnyDict:
    """What differs for an attempt that is over: its row was reused, so the event log tells."""
    log = events_of_run(task.run_id).filter(task_id=task.id, retry_count=retry_count)
    started_at = finished_at = None
    status = Status.FAILED
    for event in log:
        kind = TaskEventKind(event.kind)
        if kind is TaskEventKind.STARTED:
            started_at = event.at
        if kind in _OUTCOMES:
            finished_at, status = event.at, _OUTCOMES[kind]
    return {
        **times(started_at, finished_at),
        "status": status.name,
        "retryCount": retry_count,
        "attempt": retry_count + 1,
        "output": {},
        "errorMessage": payloads.error_of(task.id, retry_count),
    }


@dataclass(frozen=True, slots=True)
class EventPage(Page):
    limit: int = in_query.whole("limit", 1_000, minimum=1, maximum=MOST_ROWS)


class TaskEventsView(TaskView):
    @takes_query(EventPage)
    def get(self, request: Request, page: EventPage, **_: Any) -> Response:
        log = events_of_run(self.task.run_id).filter(task_id=self.task.id)
        payloads = load_payloads(
            run_ids=[],
            tasks=[self.task],
            wanted=False,
            may_view=True,
            room=Room(),
            every_attempt=True,
        )
        names = load_names([], [self.task.step_id])
        name = names.task_display_name(self.task.id, self.task.step_id)
        events = page.slice(log)
        messages = load_messages(events, payloads.room)
        rows = event_rows(events, messages, payloads, lambda _: name)
        return Response(page.answer(rows, count_up_to(log)))


class TaskExplanationView(TaskView):
    """Why a task does not run now: an addition to the contract."""

    def get(self, request: Request, **_: Any) -> Response:
        operation = explain_tasks(
            self.task.tenant_id, [self.task.id], datetime.now(UTC), copy_schedulers.shared
        )
        explanation = sync_db.run(operation)[self.task.id]
        return Response(
            {
                "taskId": str(self.task.id),
                "reason": explanation.cause.value,
                "message": explanation.message,
                "details": explanation.details,
            }
        )
