"""One-time schedules: a run of a workflow at an instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.crons import LOWEST_PRIORITY, Direction, requested_run
from engine.api.room import Room, packed
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.errors import InvalidArgument, NotFound
from engine.models import Run, Schedule
from engine.models.metadata_filters import all_metadata_reads
from engine.models.names import display_name
from engine.models.wide_columns import Wide, wide_values
from engine.models.workflow_queries import of_live_workflows
from engine.operations.choose_runs import MOST_MATCHED, few_at_a_time
from engine.operations.timetable.change_schedules import (
    Outcome,
    delete_schedules,
    move_schedules,
    schedule_runs,
)
from engine.operations.timetable.fire_schedules import ALREADY_FIRED, run_schedule_now
from engine.states import Status
from engine.store import sync_db
from tenants.rest.errors import AnyDict, ApiError, bad_request
from tenants.rest.paging import Page, count_up_to
from tenants.rest.params import Body, Query, parse_moment, parse_pair, parse_uuid
from tenants.rest.render import metadata, timestamp

MOST_IDS = 500
_STATUS_WORDS = {
    Status.QUEUED: "QUEUED",
    Status.RUNNING: "RUNNING",
    Status.COMPLETED: "SUCCEEDED",
    Status.FAILED: "FAILED",
    Status.CANCELLED: "CANCELLED",
}


class OrderField(Enum):
    triggerAt = "trigger_at"  # noqa: N815  (the name on the wire)
    createdAt = "id"  # noqa: N815


class RunStatus(Enum):
    """What the runs of schedules may be asked for; `None`: there is no run yet."""

    SCHEDULED = None
    PENDING = -1
    QUEUED = Status.QUEUED
    RUNNING = Status.RUNNING
    SUCCEEDED = Status.COMPLETED
    FAILED = Status.FAILED
    CANCELLED = Status.CANCELLED


class ScheduleListView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        page = Page.of(query)
        schedules = _selection(query, _lean_schedules().filter(tenant=self.tenant))
        field = query.member("orderByField", OrderField, OrderField.triggerAt)
        direction = query.member("orderByDirection", Direction, Direction.DESC)
        ordered = of_live_workflows(schedules).order_by(f"{direction.value}{field.value}", "id")
        may_view, room = self.access.can_view_payloads, Room()
        rows: list[object] = []
        for chunk in page.chunks(ordered):
            rows += packed(schedule_rows(chunk, may_view=may_view, room=room))
        return Response(page.answer(rows, count_up_to(schedules)))


def _selection(query: Query, schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
    wanted = _chosen(
        query.uuid("workflowId"),
        query.uuid("parentWorkflowRunId"),
        query.uuid("parentStepRunId"),
        query.pairs("additionalMetadata"),
    )
    statuses = {status.value for status in query.members("statuses", RunStatus)}
    if statuses:
        of_run = Run.objects.filter(
            id=OuterRef("run_id"), status__in=[s for s in statuses if isinstance(s, Status)]
        )
        by_status = Q(Exists(of_run))
        if statuses & {RunStatus.SCHEDULED.value, RunStatus.PENDING.value}:
            by_status |= Q(run_id__isnull=True, failure__isnull=True)
        if RunStatus.FAILED.value in statuses:
            by_status |= Q(failure__isnull=False)
        wanted &= by_status
    return schedules.filter(wanted, workflow__deleted_at__isnull=True)


def _chosen(
    workflow_id: UUID | None,
    parent_run_id: UUID | None,
    parent_task_id: UUID | None,
    pairs: Sequence[tuple[str, str]],
) -> Q:
    wanted = all_metadata_reads(pairs)
    for column, value in (
        ("workflow_id", workflow_id),
        ("parent_run_id", parent_run_id),
        ("parent_task_id", parent_task_id),
    ):
        if value is not None:
            wanted &= Q(**{column: value})
    return wanted


class WorkflowSchedulesView(EngineView):
    """The schedules of the workflow whose name is in the path."""

    def post(self, request: Request, *, name: str, **_: Any) -> Response:
        body = self.body
        wanted = requested_run(body, name)
        trigger_at = parse_moment(body.text("triggerAt"), "triggerAt")
        operation = schedule_runs(self.tenant.id, wanted, [trigger_at], datetime.now(UTC))
        try:
            made = sync_db.run(operation)
        except NotFound as error:
            raise InvalidArgument(str(error)) from error
        found = list(of_live_workflows(_lean_schedules().filter(id=made.schedules[0][0])))
        may_view = self.access.can_view_payloads
        return Response(schedule_rows(found, may_view=may_view, room=Room())[0])


class ScheduleView(EngineView):
    path_ids = ("tenant", "scheduled")
    schedule: Schedule

    def check_resource(self) -> None:
        schedule = self._find()
        if schedule is None:
            raise ApiError(404, "there is no such scheduled run")
        self.schedule = schedule

    def _find(self) -> Schedule | None:
        schedules = _lean_schedules().filter(tenant=self.tenant, id=self.ids["scheduled"])
        return of_live_workflows(schedules).first()

    def get(self, request: Request, **_: Any) -> Response:
        may_view = self.access.can_view_payloads
        return Response(schedule_rows([self.schedule], may_view=may_view, room=Room())[0])

    def post(self, request: Request, **_: Any) -> Response:
        operation = run_schedule_now(self.tenant.id, self.schedule.id, datetime.now(UTC))
        return Response({"externalId": str(sync_db.run(operation))})

    def patch(self, request: Request, **_: Any) -> Response:
        trigger_at = parse_moment(self.body.text("triggerAt"), "triggerAt")
        times = [(self.schedule.id, trigger_at)]
        self._insist(sync_db.run(move_schedules(self.tenant.id, times, datetime.now(UTC))))
        self.check_resource()
        return self.get(request)

    def delete(self, request: Request, **_: Any) -> Response:
        self._insist(sync_db.run(delete_schedules(self.tenant.id, [self.schedule.id])))
        return Response(status=204)

    def _insist(self, outcome: Outcome) -> None:
        for _, reason in outcome.refused:
            raise ApiError(400 if reason == ALREADY_FIRED else 404, reason)


class BulkDeleteView(EngineView):
    def post(self, request: Request, **_: Any) -> Response:
        ids = _chosen_ids(self.body, self.tenant.id)
        deleted = Outcome([], [])
        for some in few_at_a_time(ids):
            outcome = sync_db.run(delete_schedules(self.tenant.id, some))
            deleted.changed.extend(outcome.changed)
            deleted.refused.extend(outcome.refused)
        return Response(_bulk("deletedIds", deleted))


def _chosen_ids(body: Body, tenant_id: UUID) -> list[UUID]:
    """Read ids, or find those that a filter selects; exactly one of the two must be given."""
    if body.has("scheduledWorkflowRunIds") == body.has("filter"):
        raise bad_request("give either scheduledWorkflowRunIds or filter", field="filter")
    if not body.has("filter"):
        given = body.items("scheduledWorkflowRunIds")
        _check_count(given, "scheduledWorkflowRunIds")
        return [parse_uuid(text, "scheduledWorkflowRunIds") for text in given]
    chosen = Body(body.mapping("filter"))
    fields = ("workflowId", "parentWorkflowRunId", "parentStepRunId")
    ids = [parse_uuid(chosen.text(f), f) if chosen.has(f) else None for f in fields]
    pairs = [parse_pair(text, "filter") for text in chosen.items("additionalMetadata")]
    if not any(ids) and not pairs:
        raise bad_request("filter must name something", field="filter")
    pending = Schedule.objects.filter(tenant_id=tenant_id, due_at__isnull=False)
    found = pending.filter(_chosen(ids[0], ids[1], ids[2], pairs)).order_by("id")
    chosen_ids = list(found.values_list("id", flat=True)[: MOST_MATCHED + 1])
    if len(chosen_ids) > MOST_MATCHED:
        raise bad_request(
            f"filter selects more than {MOST_MATCHED} and nothing was done; narrow it",
            field="filter",
        )
    return chosen_ids


class BulkUpdateView(EngineView):
    def post(self, request: Request, **_: Any) -> Response:
        given = self.body.items("updates")
        _check_count(given, "updates")
        times = []
        for item in map(Body, given):
            trigger_at = parse_moment(item.text("triggerAt"), "triggerAt")
            times.append((parse_uuid(item.text("id"), "id"), trigger_at))
        outcome = sync_db.run(move_schedules(self.tenant.id, times, datetime.now(UTC)))
        return Response(_bulk("updatedIds", outcome))


def _check_count(given: Sequence[object], field: str) -> None:
    if not 1 <= len(given) <= MOST_IDS:
        raise bad_request(f"{field} must hold 1 to {MOST_IDS} entries", field=field)


def _bulk(name: str, outcome: Outcome) -> AnyDict:
    return {
        name: [str(schedule_id) for schedule_id in outcome.changed],
        "errors": [{"id": str(i), "error": reason} for i, reason in outcome.refused],
    }


def _lean_schedules() -> QuerySet[Schedule]:
    return Schedule.objects.defer("input", "additional_metadata", "child_key")


def schedule_rows(schedules: Sequence[Any], *, may_view: bool, room: Room) -> list[AnyDict]:
    """Return rows with what they carry and the runs that came of them, one query for each."""
    rows = Schedule.objects.filter(id__in=[schedule.id for schedule in schedules])
    carried = wide_values(rows, ["input", "additional_metadata"], room=room.left)
    run_ids = [schedule.run_id for schedule in schedules if schedule.run_id]
    runs = Run.objects.only("id", "status", "created_at").in_bulk(run_ids) if run_ids else {}
    return [
        _schedule_shape(
            schedule,
            runs.get(schedule.run_id),
            carried.get(schedule.id, {}),
            room,
            may_view=may_view,
        )
        for schedule in schedules
    ]


def _status_word(schedule: Any, run: Run | None) -> str | None:
    if run is not None:
        return _STATUS_WORDS[Status(run.status)]
    return _STATUS_WORDS[Status.FAILED] if schedule.failure is not None else None


def _schedule_shape(
    schedule: Any, run: Run | None, carried: Mapping[str, Wide], room: Room, *, may_view: bool
) -> AnyDict:
    name = schedule.workflow.name
    return without_nones(
        {
            "metadata": metadata(schedule.id, schedule.created_at, schedule.updated_at),
            "tenantId": str(schedule.tenant_id),
            "workflowVersionId": str(schedule.latest_version_id),
            "workflowId": str(schedule.workflow_id),
            "workflowName": name,
            "triggerAt": timestamp(schedule.trigger_at),
            "input": room.json(carried.get("input")) if may_view else {},
            "additionalMetadata": room.json(carried.get("additional_metadata")),
            "priority": schedule.priority or schedule.default_priority or LOWEST_PRIORITY,
            "method": "API",
            "workflowRunId": None if run is None else str(run.id),
            "workflowRunName": None if run is None else display_name(name, run.id),
            "workflowRunStatus": _status_word(schedule, run),
            "workflowRunCreatedAt": None if run is None else timestamp(run.created_at),
            "failure": schedule.failure,
        }
    )
