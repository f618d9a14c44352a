"""Workflows as registered by workers: a workflow, its versions, their steps and event triggers."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from engine.ids import new_id


class Workflow(models.Model):
    """A name workers register and clients trigger. Deleting is soft and frees the name.

    While it is paused none of its tasks starts; they are held for the TTL, counted from their creation.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="workflows")
    name = models.TextField()
    description = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)
    is_paused = models.BooleanField(default=False, db_default=False)
    paused_cron_behavior = models.TextField(null=True, blank=True)
    paused_scheduled_behavior = models.TextField(null=True, blank=True)
    paused_ttl_seconds = models.FloatField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["tenant"], condition=Q(is_paused=True), name="workflow_paused_of_tenant"
            )
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "name"],
                condition=Q(deleted_at__isnull=True),
                name="workflow_name_once_per_tenant",
            )
        ]


class WorkflowVersion(models.Model):
    """One immutable definition. `definition` is the canonical form whose SHA-256 is `checksum`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="versions")
    order = models.IntegerField()
    checksum = models.BinaryField(max_length=32)
    definition = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workflow", "order"], name="version_order_once_per_workflow"
            )
        ]


class Step(models.Model):
    """A task definition inside a version; its options live in the version's definition."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.ForeignKey(WorkflowVersion, on_delete=models.CASCADE, related_name="steps")
    ordinal = models.SmallIntegerField()
    kind = models.SmallIntegerField()
    readable_id = models.TextField()
    action_id = models.TextField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "ordinal"], name="step_ordinal_once_per_version"
            )
        ]


class SharedStrategy(models.Model):
    """A concurrency strategy that all workflows of a tenant share which name it, as registered last.

    It `is_computed` if each task brings the limit; `max_runs` holds until one does.
    """

    pk = models.CompositePrimaryKey("tenant_id", "name")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    name = models.TextField()
    strategy = models.SmallIntegerField()
    max_runs = models.IntegerField()
    is_computed = models.BooleanField()
    updated_at = models.DateTimeField()


class EventTrigger(models.Model):
    """An event key, or a pattern with `*`, that starts the latest version of a workflow."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="event_triggers")
    pattern = models.TextField()
    like_pattern = models.TextField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workflow", "pattern"], name="event_trigger_once_per_workflow"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "pattern"], name="event_trigger_by_pattern"),
            models.Index(
                fields=["tenant"],
                condition=Q(like_pattern__isnull=False),
                name="event_trigger_wildcards",
            ),
        ]
