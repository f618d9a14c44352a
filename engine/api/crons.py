"""Crons: those a workflow declares and those clients make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

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
from engine.types import TriggerRequest
from tenants.rest.errors import AnyDict, ApiError, bad_request
from tenants.rest.paging import Page, count_up_to
from tenants.rest.params import Body, Query
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


def requested_run(body: Body, workflow_name: str) -> TriggerRequest:
    """Read what a cron or a schedule is to trigger."""
    if "\0" in workflow_name:
        raise bad_request("workflow name not found: it contains a NUL character")
    return TriggerRequest(
        workflow_name=workflow_name,
        input=body.document("input"),
        additional_metadata=body.metadata("additionalMetadata"),
        priority=body.optional_integer("priority", minimum=1, maximum=3),
    )


class CronListView(EngineView):
    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        page = Page.of(query)
        crons = _selection(query, of_live_workflows(_lean_crons().filter(tenant=self.tenant)))
        field = query.member("orderByField", OrderField, OrderField.createdAt)
        direction = query.member("orderByDirection", Direction, Direction.DESC)
        ordered = crons.order_by(f"{direction.value}{field.value}", "id")
        may_view, room = self.access.can_view_payloads, Room()
        rows: list[object] = []
        for chunk in page.chunks(ordered):
            rows += packed(cron_rows(chunk, may_view=may_view, room=room))
        return Response(page.answer(rows, count_up_to(crons)))


def _selection(query: Query, crons: QuerySet[Cron]) -> QuerySet[Cron]:
    for name, column in (("workflowName", "workflow__name"), ("cronName", "name")):
        text = query.text(name)
        if text is not None:
            crons = crons.filter(**{column: text})
    workflow_id = query.uuid("workflowId")
    if workflow_id is not None:
        crons = crons.filter(workflow_id=workflow_id)
    return crons.filter(all_metadata_reads(query.pairs("additionalMetadata")))


class WorkflowCronsView(EngineView):
    """The crons of the workflow whose name is in the path."""

    def post(self, request: Request, *, name: str, **_: Any) -> Response:
        body = self.body
        operation = create_cron(
            self.tenant.id,
            name=body.text("cronName"),
            expression=body.text("cronExpression", longest=MAX_CRON_LENGTH),
            request=requested_run(body, name),
            now=datetime.now(UTC),
            missed=_missed_policy(body) or MissedPolicy.SKIP,
        )
        cron = of_live_workflows(_lean_crons()).get(id=sync_db.run(operation))
        may_view = self.access.can_view_payloads
        return Response(cron_rows([cron], may_view=may_view, room=Room())[0])


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
        return Response({"externalId": str(sync_db.run(operation))})

    def patch(self, request: Request, **_: Any) -> Response:
        is_enabled = self.body.flag("enabled", self.cron.is_enabled)
        missed, now = _missed_policy(self.body), datetime.now(UTC)
        with transaction.atomic():
            if missed is not None:
                sync_db.run(choose_missed(self.tenant.id, self.cron.id, missed, now))
            if is_enabled != self.cron.is_enabled:
                switch = switch_cron(self.tenant.id, self.cron.id, is_enabled=is_enabled, now=now)
                sync_db.run(switch)
        return Response(status=204)

    def delete(self, request: Request, **_: Any) -> Response:
        sync_db.run(delete_cron(self.tenant.id, self.cron.id))
        return Response(status=204)


def _missed_policy(body: Body) -> MissedPolicy | None:
    """Read what is to be done about missed times, which is an addition."""
    text = body.optional_text("missed")
    if text is None:
        return None
    if text not in _POLICIES:
        raise bad_request(f"missed must be one of {', '.join(_POLICIES)}", field="missed")
    return _POLICIES[text]


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
