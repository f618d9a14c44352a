"""Workflows and their versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Case, IntegerField, Value, When
from rest_framework.request import Request
from rest_framework.response import Response

from engine.api.room import Room, packed
from engine.api.views import EngineView, WorkflowView
from engine.api.workflow_shapes import version_meta_shape, version_shape, workflow_shape
from engine.domain.durations import parse_sleep
from engine.models import Step, Workflow, WorkflowVersion
from engine.models.wide_columns import wide_values
from engine.operations.pause_workflows import Pause, pause_workflow, unpause_workflow
from engine.operations.put_workflow import delete_workflow
from engine.store import sync_db
from tenants.rest import in_body, in_query
from tenants.rest.accepted import takes_body, takes_query
from tenants.rest.errors import ApiError
from tenants.rest.paging import Page, count_up_to

_MOST_VERSIONS = 100
_BEHAVIORS = {"QUEUE": "QUEUE", "DROP": "DROP"}
_TTL = "pausedWorkflowQueueTTL"


@dataclass(frozen=True, slots=True)
class WorkflowSelection(Page):
    name: str | None = in_query.text("name")


def _behavior(name: str) -> Any:
    """What becomes of runs that are due during a pause."""
    return in_body.choice(name, _BEHAVIORS, is_required=True)


@dataclass(frozen=True, slots=True)
class Pausing:
    cron: str = _behavior("pausedWorkflowCronRunQueueBehavior")
    scheduled: str = _behavior("pausedWorkflowScheduledRunQueueBehavior")
    ttl: str = in_body.text(_TTL)


@dataclass(frozen=True, slots=True)
class Unpausing:
    """Nothing more is to be said."""


@dataclass(frozen=True, slots=True)
class WorkflowUpdate:
    pause: Pausing | Unpausing = in_body.one_of(
        "pause", "action", {"pause": Pausing, "unpause": Unpausing}
    )


class WorkflowListView(EngineView):
    """Newest first, but a workflow whose name is exactly what was asked for comes before all."""

    @takes_query(WorkflowSelection)
    def get(self, request: Request, page: WorkflowSelection, **_: Any) -> Response:
        workflows = Workflow.objects.filter(tenant=self.tenant, deleted_at__isnull=True)
        workflows = workflows.defer("description")
        name = page.name
        if name is not None:
            workflows = workflows.filter(name__icontains=name)
            exact = Case(When(name=name, then=0), default=1, output_field=IntegerField())
        else:
            exact = Case(default=Value(0), output_field=IntegerField())
        ordered = workflows.annotate(exact=exact).order_by("exact", "-id")
        room = Room()
        rows: list[object] = []
        for chunk in page.chunks(ordered):
            found = Workflow.objects.filter(id__in=[workflow.id for workflow in chunk])
            texts = wide_values(found, ["description"], room=room.left)
            for workflow in chunk:
                workflow.description = room.text(texts.get(workflow.id, {}).get("description"))
            rows += packed(workflow_shape(workflow) for workflow in chunk)
        return Response(page.answer(rows, count_up_to(workflows)))


class WorkflowDetailView(WorkflowView):
    def get(self, request: Request, **_: Any) -> Response:
        versions = self.workflow.versions.order_by("-order")[:_MOST_VERSIONS]
        rows = [version_meta_shape(version) for version in versions.defer("definition")]
        return Response(workflow_shape(self.workflow) | {"versions": rows})

    @takes_body(WorkflowUpdate)
    def patch(self, request: Request, wanted: WorkflowUpdate, **_: Any) -> Response:
        pause, now = wanted.pause, datetime.now(UTC)
        if isinstance(pause, Pausing):
            ttl_seconds = parse_sleep(pause.ttl, _TTL)
            settings = Pause(pause.cron, pause.scheduled, ttl_seconds)
            sync_db.run(pause_workflow(self.tenant.id, self.workflow.id, settings, now))
        else:
            sync_db.run(unpause_workflow(self.tenant.id, self.workflow.id, now))
        self.workflow.refresh_from_db()
        return Response(workflow_shape(self.workflow))

    def delete(self, request: Request, **_: Any) -> Response:
        operation = delete_workflow(self.tenant.id, self.workflow.id, datetime.now(UTC))
        if not sync_db.run(operation):
            raise ApiError(404, "there is no such workflow")
        return Response(status=204)


@dataclass(frozen=True, slots=True)
class WantedVersion:
    version_id: UUID | None = in_query.uuid("version")


class WorkflowVersionView(WorkflowView):
    """The latest version, or the one named by `version`."""

    @takes_query(WantedVersion)
    def get(self, request: Request, named: WantedVersion, **_: Any) -> Response:
        wanted = named.version_id
        versions = WorkflowVersion.objects.filter(workflow=self.workflow)
        if wanted is not None:
            versions = versions.filter(id=wanted)
        version = versions.order_by("-order").first()
        if version is None:
            raise ApiError(404, "there is no such version")
        steps = list(Step.objects.filter(version=version).order_by("ordinal"))
        return Response(version_shape(self.workflow, version, steps))
