"""Crons: those a workflow declares and those clients make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.requested_run import RequestedRun
from engine.api.room import Room, packed
from engine.api.run_shapes import without_nones
from engine.api.views import EngineView
from engine.domain.cron.expression import MAX_CRON_LENGTH
from engine.models import Cron, CronMiss
from engine.models.metadata_filters import all_metadata_reads
from engine.models.wide_columns import Wide, wide_values
from engine.models.workflow_queries import of_live_workflows
from engine.operations.timetable.change_crons import (
    choose_missed,
    create_cron,
    delete_cron,
    switch_cron,
)
from engine.operations.timetable.fire_crons import run_cron_now
from engine.states import CronMissCause, MissedPolicy
from engine.store import sync_db
from tenants.rest import in_body, in_query
from tenants.rest.accepted import part, takes_body, takes_query
from tenants.rest.errors import AnyDict, ApiError
from tenants.rest.paging import Page, count_up_to
from tenants.rest.render import metadata, timestamp

MISSES_SHOWN = 20
_POLICIES = {policy.name.lower(): policy for policy in MissedPolicy}

LOWEST_PRIORITY = 1


class OrderField(Enum):
    name = "name"
    createdAt = "id"  # noqa: N815  (the name on the wire)


class Direction(Enum):
    ASC = ""
    DESC = "-"


def _missed_policy() -> Any:
    """What is to be done about missed times, which is an addition."""
    return in_body.choice("missed", _POLICIES, is_required=False)


@dataclass(frozen=True, slots=True)
class CronSelection:
    page: Page = part(Page)
    workflow_name: str | None = in_query.text("workflowName")
    name: str | None = in_query.text("cronName")
    workflow_id: UUID | None = in_query.uuid("workflowId")
    metadata: list[tuple[str, str]] = in_query.pairs("additionalMetadata")
    order: OrderField = in_query.member("orderByField", OrderField, OrderField.createdAt)
    direction: Direction = in_query.member("orderByDirection", Direction, Direction.DESC)

    def condition(self) -> Q:
        wanted = all_metadata_reads(self.metadata)
        for column, value in (
            ("workflow__name", self.workflow_name),
            ("name", self.name),
            ("workflow_id", self.workflow_id),
        ):
            if value is not None:
                wanted &= Q(**{column: value})
        return wanted


class CronListView(EngineView):
    @takes_query(CronSelection)
    def get(self, request: Request, wanted: CronSelection, **_: Any) -> Response:
        page = wanted.page
        crons = of_live_workflows(_lean_crons().filter(tenant=self.tenant))
        crons = crons.filter(wanted.condition())
        ordered = crons.order_by(f"{wanted.direction.value}{wanted.order.value}", "id")
        may_view, room = self.access.can_view_payloads, Room()
        rows: list[object] = []
        for chunk in page.chunks(ordered):
            rows += packed(cron_rows(chunk, may_view=may_view, room=room))
        return Response(page.answer(rows, count_up_to(crons)))


@dataclass(frozen=True, slots=True)
class NewCron:
    name: str = in_body.text("cronName")
    expression: str = in_body.text("cronExpression", longest=MAX_CRON_LENGTH)
    run: RequestedRun = part(RequestedRun)
    missed: MissedPolicy | None = _missed_policy()


class WorkflowCronsView(EngineView):
    """The crons of the workflow whose name is in the path."""

    @takes_body(NewCron)
    def post(self, request: Request, new: NewCron, *, name: str, **_: Any) -> Response:
        operation = create_cron(
            self.tenant.id,
            name=new.name,
            expression=new.expression,
            request=new.run.of_workflow(name),
            now=datetime.now(UTC),
            missed=new.missed or MissedPolicy.SKIP,
        )
        cron = of_live_workflows(_lean_crons()).get(id=sync_db.run(operation))
        may_view = self.access.can_view_payloads
        return Response(cron_rows([cron], may_view=may_view, room=Room())[0])


@dataclass(frozen=True, slots=True)
class CronUpdate:
    is_enabled: bool | None = in_body.optional_flag("enabled")
    missed: MissedPolicy | None = _missed_policy()


class CronView(EngineView):
    path_ids = ("tenant", "cron")
    cron: Cron

    def check_resource(self) -> None:
        crons = of_live_workflows(_lean_crons().filter(tenant=self.tenant))
        cron = crons.filter(id=self.ids["cron"]).first()
        if cron is None:
            raise ApiError(404, "there is no such cron")
        self.cron = cron

    def get(self, request: Request, **_: Any) -> Response:
        may_view = self.access.can_view_payloads
        shape = cron_rows([self.cron], may_view=may_view, room=Room())[0]
        misses = self.cron.misses.order_by("-id")[:MISSES_SHOWN]
        return Response(shape | without_nones({"missedFires": [*map(_miss_shape, misses)] or None}))

    def post(self, request: Request, **_: Any) -> Response:
        operation = run_cron_now(self.tenant.id, self.cron.id, datetime.now(UTC))
        with self.acting.on() as told:
            told["run"] = str(sync_db.run(operation))
        return Response({"externalId": told["run"]})

    @takes_body(CronUpdate)
    def patch(self, request: Request, wanted: CronUpdate, **_: Any) -> Response:
        is_enabled, now = wanted.is_enabled, datetime.now(UTC)
        with transaction.atomic():
            if wanted.missed is not None:
                sync_db.run(choose_missed(self.tenant.id, self.cron.id, wanted.missed, now))
            if is_enabled is not None and is_enabled != self.cron.is_enabled:
                switch = switch_cron(self.tenant.id, self.cron.id, is_enabled=is_enabled, now=now)
                sync_db.run(switch)
        return Response(status=204)

    def delete(self, request: Request, **_: Any) -> Response:
        sync_db.run(delete_cron(self.tenant.id, self.cron.id))
        return Response(status=204)


def _miss_shape(miss: CronMiss) -> AnyDict:
    return {
        "cause": CronMissCause(miss.cause).name,
        "detail": miss.detail,
        "count": miss.count,
        "firstAt": timestamp(miss.first_at),
        "lastAt": timestamp(miss.last_at),
    }


def _lean_crons() -> QuerySet[Cron]:
    return Cron.objects.defer("input", "additional_metadata")


def cron_rows(crons: Sequence[Any], *, may_view: bool, room: Room) -> list[AnyDict]:
    rows = Cron.objects.filter(id__in=[cron.id for cron in crons])
    carried = wide_values(rows, ["input", "additional_metadata"], room=room.left)
    return [_cron_shape(cron, carried.get(cron.id, {}), room, may_view=may_view) for cron in crons]


def _cron_shape(cron: Any, carried: Mapping[str, Wide], room: Room, *, may_view: bool) -> AnyDict:
    return without_nones(
        {
            "metadata": metadata(cron.id, cron.created_at, cron.updated_at),
            "tenantId": str(cron.tenant_id),
            "workflowVersionId": str(cron.latest_version_id),
            "workflowId": str(cron.workflow_id),
            "workflowName": cron.workflow.name,
            "cron": cron.expression,
            "name": cron.name,
            "input": room.json(carried.get("input")) if may_view else {},
            "additionalMetadata": room.json(carried.get("additional_metadata")),
            "enabled": cron.is_enabled,
            "method": "DEFAULT" if cron.is_declared else "API",
            "priority": cron.priority or cron.default_priority or LOWEST_PRIORITY,
            "missed": MissedPolicy(cron.missed).name.lower(),
        }
    )
