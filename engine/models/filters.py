"""Which events a workflow wants, and the expressions that could not tell."""

from typing import ClassVar

from django.db import models

from engine.ids import new_id
from engine.models.definitions import Workflow


class Filter(models.Model):
    """Starts a run for each event of its scope for which its expression is true.

    `digest` covers scope, expression and payload, which are too long for an index.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="filters")
    scope = models.TextField()
    expression = models.TextField()
    payload = models.BinaryField()
    digest = models.BinaryField(max_length=32)
    is_declared = models.BooleanField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["workflow", "digest"], name="filter_once_per_workflow")
        ]
        indexes: ClassVar = [models.Index(fields=["tenant", "id"], name="filter_by_tenant")]


class CelFailure(models.Model):
    """An expression that failed on what it was given, for whoever wonders why nothing started."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    source = models.SmallIntegerField()
    workflow_id = models.UUIDField()
    event_id = models.UUIDField(null=True, blank=True)
    expression = models.TextField()
    error = models.TextField()
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant", "id"], name="cel_failure_by_tenant")]
