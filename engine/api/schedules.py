"""One-time schedules: a run of a workflow at an instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.crons import LOWEST_PRIORITY, Direction
from engine.api.requested_run import RequestedRun
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
from tenants.rest import in_body, in_query
from tenants.rest.accepted import part, takes_body, takes_query
from tenants.rest.errors import AnyDict, ApiError, bad_request
from tenants.rest.paging import Page, count_up_to
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


@dataclass(frozen=True, slots=True)
class ScheduleSelection:
    page: Page = part(Page)
    workflow_id: UUID | None = in_query.uuid("workflowId")
    parent_run_id: UUID | None = in_query.uuid("parentWorkflowRunId")
    parent_task_id: UUID | None = in_query.uuid("parentStepRunId")
    metadata: list[tuple[str, str]] = in_query.pairs("additionalMetadata")
    statuses: list[RunStatus] = in_query.members("statuses", RunStatus)
    order: OrderField = in_query.member("orderByField", OrderField, OrderField.triggerAt)
    direction: Direction = in_query.member("orderByDirection", Direction, Direction.DESC)

    def condition(self) -> Q:
        wanted = _chosen(self.workflow_id, self.parent_run_id, self.parent_task_id, self.metadata)
        return wanted & _with_status(self.statuses)


class ScheduleListView(EngineView):
    @takes_query(ScheduleSelection)
    def get(self, request: Request, wanted: ScheduleSelection, **_: Any) -> Response:
        page, schedules = wanted.page, _lean_schedules().filter(tenant=self.tenant)
        schedules = schedules.filter(wanted.condition(), workflow__deleted_at__isnull=True)
        order = f"{wanted.direction.value}{wanted.order.value}"
        ordered = of_live_workflows(schedules).order_by(order, "id")
        may_view, room = self.access.can_view_payloads, Room()
        rows: list[object] = []
        for chunk in page.chunks(ordered):
            rows += packed(schedule_rows(chunk, may_view=may_view, room=room))
        return Response(page.answer(rows, count_up_to(schedules)))


def _with_status(statuses: Sequence[RunStatus]) -> Q:
    if not statuses:
        return Q()
    of_runs = [status.value for status in statuses if isinstance(status.value, Status)]
    by_status = Q(Exists(Run.objects.filter(id=OuterRef("run_id"), status__in=of_runs)))
    if RunStatus.SCHEDULED in statuses or RunStatus.PENDING in statuses:
        by_status |= Q(run_id__isnull=True, failure__isnull=True)
    if RunStatus.FAILED in statuses:
        by_status |= Q(failure__isnull=False)
    return by_status


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


@dataclass(frozen=True, slots=True)
class NewSchedule:
    run: RequestedRun = part(RequestedRun)
    trigger_at: datetime = in_body.moment("triggerAt")


class WorkflowSchedulesView(EngineView):
    """The schedules of the workflow whose name is in the path."""

    @takes_body(NewSchedule)
    def post(self, request: Request, new: NewSchedule, *, name: str, **_: Any) -> Response:
        wanted, times = new.run.of_workflow(name), [new.trigger_at]
        operation = schedule_runs(self.tenant.id, wanted, times, datetime.now(UTC))
        try:
            made = sync_db.run(operation)
        except NotFound as error:
            raise InvalidArgument(str(error)) from error
        found = list(of_live_workflows(_lean_schedules().filter(id=made.schedules[0][0])))
        may_view = self.access.can_view_payloads
        return Response(schedule_rows(found, may_view=may_view, room=Room())[0])


@dataclass(frozen=True, slots=True)
class NewTime:
    trigger_at: datetime = in_body.moment("triggerAt")


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
        with self.acting.on() as told:
            told["run"] = str(sync_db.run(operation))
        return Response({"externalId": told["run"]})

    @takes_body(NewTime)
    def patch(self, request: Request, wanted: NewTime, **_: Any) -> Response:
        times = [(self.schedule.id, wanted.trigger_at)]
        self._insist(sync_db.run(move_schedules(self.tenant.id, times, datetime.now(UTC))))
        self.check_resource()
        return self.get(request)

    def delete(self, request: Request, **_: Any) -> Response:
        self._insist(sync_db.run(delete_schedules(self.tenant.id, [self.schedule.id])))
        return Response(status=204)

    def _insist(self, outcome: Outcome) -> None:
        for _, reason in outcome.refused:
            raise ApiError(400 if reason == ALREADY_FIRED else 404, reason)


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    workflow_id: UUID | None = in_body.optional_uuid("workflowId")
    parent_run_id: UUID | None = in_body.optional_uuid("parentWorkflowRunId")
    parent_task_id: UUID | None = in_body.optional_uuid("parentStepRunId")
    metadata: tuple[tuple[str, str], ...] = in_body.pairs("additionalMetadata")

    def __post_init__(self) -> None:
        if not self.condition():
            raise bad_request("filter must name something", field="filter")

    def condition(self) -> Q:
        return _chosen(self.workflow_id, self.parent_run_id, self.parent_task_id, self.metadata)


@dataclass(frozen=True, slots=True)
class Targets:
    """Either of the two must be given, not both."""

    ids: tuple[UUID, ...] | None = in_body.optional_uuids("scheduledWorkflowRunIds", most=MOST_IDS)
    filter: ScheduleFilter | None = in_body.optional_part("filter", ScheduleFilter)

    def __post_init__(self) -> None:
        if (self.ids is None) == (self.filter is None):
            raise bad_request("give either scheduledWorkflowRunIds or filter", field="filter")


class BulkDeleteView(EngineView):
    @takes_body(Targets)
    def post(self, request: Request, targets: Targets, **_: Any) -> Response:
        ids = targets.ids or _ids_of(targets.filter, self.tenant.id)
        deleted = Outcome([], [])
        for some in few_at_a_time(ids):
            with self.recorded_changes():
                outcome = sync_db.run(delete_schedules(self.tenant.id, some))
            deleted.changed.extend(outcome.changed)
            deleted.refused.extend(outcome.refused)
        return Response(_bulk("deletedIds", deleted))


def _ids_of(chosen: ScheduleFilter | None, tenant_id: UUID) -> list[UUID]:
    """Find those that a filter selects."""
    assert chosen is not None, "there are ids otherwise"
    pending = Schedule.objects.filter(tenant_id=tenant_id, due_at__isnull=False)
    found = pending.filter(chosen.condition()).order_by("id")
    chosen_ids = list(found.values_list("id", flat=True)[: MOST_MATCHED + 1])
    if len(chosen_ids) > MOST_MATCHED:
        raise bad_request(
            f"filter selects more than {MOST_MATCHED} and nothing was done; narrow it",
            field="filter",
        )
    return chosen_ids


@dataclass(frozen=True, slots=True)
class Move:
    trigger_at: datetime = in_body.moment("triggerAt")
    schedule_id: UUID = in_body.uuid("id")


@dataclass(frozen=True, slots=True)
class Moves:
    moves: tuple[Move, ...] = in_body.parts("updates", Move, most=MOST_IDS)


class BulkUpdateView(EngineView):
    @takes_body(Moves)
    def post(self, request: Request, given: Moves, **_: Any) -> Response:
        times = [(move.schedule_id, move.trigger_at) for move in given.moves]
        outcome = sync_db.run(move_schedules(self.tenant.id, times, datetime.now(UTC)))
        return Response(_bulk("updatedIds", outcome))


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
