"""Read querysets over workflows and their versions."""

from __future__ import annotations

from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from engine.models.definitions import Workflow, WorkflowVersion


def workflows_of(tenant_id: UUID) -> QuerySet[Workflow]:
    """Workflows that were not deleted, by name."""
    return Workflow.objects.filter(tenant_id=tenant_id, deleted_at__isnull=True).order_by("name")


def with_latest_version(workflows: QuerySet[Workflow]) -> QuerySet[Workflow]:
    """Annotate `latest_definition`, `latest_order` and `latest_at` of the newest version."""
    newest = WorkflowVersion.objects.filter(workflow=OuterRef("id")).order_by("-order")
    return workflows.annotate(
        latest_definition=Subquery(newest.values("definition")[:1]),
        latest_order=Subquery(newest.values("order")[:1]),
        latest_at=Subquery(newest.values("created_at")[:1]),
    )
