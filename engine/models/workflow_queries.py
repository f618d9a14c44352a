"""Read querysets over workflows and their versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

import orjson
from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery

from engine.models.definitions import Step, Workflow, WorkflowVersion
from engine.models.wide_columns import wide_values


def workflows_of(tenant_id: UUID) -> QuerySet[Workflow]:
    """Workflows that were not deleted, by name."""
    return Workflow.objects.filter(tenant_id=tenant_id, deleted_at__isnull=True).order_by("name")


def with_latest_version(workflows: QuerySet[Workflow]) -> QuerySet[Workflow]:
    """Annotate `latest_id`, `latest_order` and `latest_at` of the newest version."""
    newest = WorkflowVersion.objects.filter(workflow=OuterRef("id")).order_by("-order")
    return workflows.annotate(
        latest_id=Subquery(newest.values("id")[:1]),
        latest_order=Subquery(newest.values("order")[:1]),
        latest_at=Subquery(newest.values("created_at")[:1]),
    )


def definitions_of_versions(
    version_ids: Sequence[UUID | None], *, room: int
) -> dict[UUID | None, Any]:
    """Return definitions by version, the smallest up to `room` bytes."""
    versions = WorkflowVersion.objects.filter(id__in=[each for each in version_ids if each])
    found = wide_values(versions, ["definition"], room=room)
    return {
        version_id: orjson.loads(values["definition"].data)
        for version_id, values in found.items()
        if values["definition"].data is not None
    }


Model = TypeVar("Model", bound=models.Model)


def of_live_workflows(rows: QuerySet[Model]) -> QuerySet[Model]:
    """Narrow rows that belong to workflows to live ones.

    Annotate `latest_version_id`, and `default_priority`, that version's.
    """
    newest = WorkflowVersion.objects.filter(workflow=OuterRef("workflow_id")).order_by("-order")
    live = rows.filter(workflow__deleted_at__isnull=True).select_related("workflow")
    annotated: Any = live.annotate(
        latest_version_id=Subquery(newest.values("id")[:1]),
        default_priority=Subquery(newest.values("definition__default_priority")[:1]),
    )
    return cast("QuerySet[Model]", annotated)


def steps_of(tenant_id: UUID, workflow_ids: Sequence[UUID]) -> QuerySet[Step]:
    """The steps of all versions of these workflows."""
    return Step.objects.filter(
        version__workflow_id__in=workflow_ids, version__workflow__tenant_id=tenant_id
    )
