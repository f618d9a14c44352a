"""What starts runs by itself at an instant: crons and one-time schedules."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from engine.ids import new_id
from engine.models.definitions import Workflow
from engine.models.json_objects import JsonObjectField


class Cron(models.Model):
    """Starts the latest version of a workflow again and again.

    `due_at` is the next nominal time, null while it is disabled. `fired_at` is the last nominal time
    it fired for, and only grows: together with the row lock that makes every nominal time fire once.
    `missed` says what is done about times that passed without it (a MissedPolicy).
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="crons")
    name = models.TextField()
    expression = models.TextField()
    input = models.BinaryField()
    additional_metadata = JsonObjectField(null=True, blank=True)
    priority = models.SmallIntegerField(null=True, blank=True)
    is_declared = models.BooleanField()
    is_enabled = models.BooleanField(default=True)
    due_at = models.DateTimeField(null=True, blank=True)
    fired_at = models.DateTimeField(null=True, blank=True)
    missed = models.SmallIntegerField(default=0, db_default=0)
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


class CronMiss(models.Model):
    """Times for which a cron did not fire, from the first to the last, and why (a CronMissCause).

    The database removes it with its cron.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    cron = models.ForeignKey(
        Cron, on_delete=models.CASCADE, related_name="misses", db_constraint=False
    )
    cause = models.SmallIntegerField()
    detail = models.TextField()
    count = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["cron", "id"], name="cron_miss_by_cron")]


class Schedule(models.Model):
    """Starts the latest version of a workflow once; `due_at` is null as soon as it has.

    `run_id` is the run it started, which may be an older one where a child was spawned before;
    `failure` says why it started none.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="schedules")
    trigger_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)
    input = models.BinaryField()
    additional_metadata = JsonObjectField(null=True, blank=True)
    priority = models.SmallIntegerField(null=True, blank=True)
    parent_run_id = models.UUIDField(null=True, blank=True)
    parent_task_id = models.UUIDField(null=True, blank=True)
    child_index = models.IntegerField(null=True, blank=True)
    child_key = models.TextField(null=True, blank=True)
    run_id = models.UUIDField(null=True, blank=True)
    failure = models.TextField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="schedule_due"),
            models.Index(fields=["tenant", "trigger_at"], name="schedule_by_tenant"),
        ]
