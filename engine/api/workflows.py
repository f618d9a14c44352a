"""Workflows and their versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
from tenants.rest.errors import ApiError
from tenants.rest.paging import Page, count_up_to
from tenants.rest.params import Body

_MOST_VERSIONS = 100
_BEHAVIORS = ("QUEUE", "DROP")
_TTL = "pausedWorkflowQueueTTL"


class WorkflowListView(EngineView):
    """Newest first, but a workflow whose name is exactly what was asked for comes before all."""

    def get(self, request: Request, **_: Any) -> Response:
        query = self.query
        page = Page.of(query)
        workflows = Workflow.objects.filter(tenant=self.tenant, deleted_at__isnull=True)
        workflows = workflows.defer("description")
        name = query.text("name")
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

    def patch(self, request: Request, **_: Any) -> Response:
        pause = Body(self.body.mapping("pause"))
        action, now = pause.text("action"), datetime.now(UTC)
        if action == "pause":
            settings = Pause(
                cron=_behavior(pause, "pausedWorkflowCronRunQueueBehavior"),
                scheduled=_behavior(pause, "pausedWorkflowScheduledRunQueueBehavior"),
                ttl_seconds=parse_sleep(pause.text(_TTL), _TTL),
            )
            sync_db.run(pause_workflow(self.tenant.id, self.workflow.id, settings, now))
        elif action == "unpause":
            sync_db.run(unpause_workflow(self.tenant.id, self.workflow.id, now))
        else:
            raise ApiError(400, "pause.action must be pause or unpause")
        self.workflow.refresh_from_db()
        return Response(workflow_shape(self.workflow))

    def delete(self, request: Request, **_: Any) -> Response:
        operation = delete_workflow(self.tenant.id, self.workflow.id, datetime.now(UTC))
        if not sync_db.run(operation):
            raise ApiError(404, "there is no such workflow")
        return Response(status=204)


def _behavior(pause: Body, name: str) -> str:
    behavior = pause.text(name)
    if behavior not in _BEHAVIORS:
        raise ApiError(400, f"{name} must be QUEUE or DROP")
    return behavior


class WorkflowVersionView(WorkflowView):
    """The latest version, or the one named by `version`."""

    def get(self, request: Request, **_: Any) -> Response:
        wanted = self.query.uuid("version")
        versions = WorkflowVersion.objects.filter(workflow=self.workflow)
        if wanted is not None:
            versions = versions.filter(id=wanted)
        version = versions.order_by("-order").first()
        if version is None:
            raise ApiError(404, "there is no such version")
        steps = list(Step.objects.filter(version=version).order_by("ordinal"))
        return Response(version_shape(self.workflow, version, steps))
