"""What starts runs by itself at an instant: crons and one-time schedules."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from engine.ids import new_id
from engine.models.definitions import Workflow


class Cron(models.Model):
    """Starts the latest version of a workflow again and again.

    `due_at` is the next nominal time, null while it is disabled. `fired_at` is the last nominal time
    it fired for, and only grows: together with the row lock that makes every nominal time fire once.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="crons")
    name = models.TextField()
    expression = models.TextField()
    input = models.BinaryField()
    additional_metadata = models.JSONField(null=True, blank=True)
    priority = models.SmallIntegerField(null=True, blank=True)
    is_declared = models.BooleanField()
    is_enabled = models.BooleanField(default=True)
    due_at = models.DateTimeField(null=True, blank=True)
    fired_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workflow", "name", "expression"], name="cron_once_per_workflow"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="cron_due"),
            models.Index(fields=["tenant", "id"], name="cron_by_tenant"),
        ]


class Schedule(models.Model):
    """Starts the latest version of a workflow once; `due_at` is null as soon as it has.

    `run_id` is the run it started, which may be an older one where a child was spawned before.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="schedules")
    trigger_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)
    input = models.BinaryField()
    additional_metadata = models.JSONField(null=True, blank=True)
    priority = models.SmallIntegerField(null=True, blank=True)
    parent_run_id = models.UUIDField(null=True, blank=True)
    parent_task_id = models.UUIDField(null=True, blank=True)
    child_index = models.IntegerField(null=True, blank=True)
    child_key = models.TextField(null=True, blank=True)
    run_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="schedule_due"),
            models.Index(fields=["tenant", "trigger_at"], name="schedule_by_tenant"),
        ]
