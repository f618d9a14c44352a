"""What steps wait for before they start, beside their parents."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from engine.ids import new_id


class EndedWait(models.Model):
    """That an event met what a task waited for: a condition of a step, or of an entry of a durable log.

    `branch_id` and `node_id` are the entry's; a step's condition has none. Kept for a month.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    event_id = models.UUIDField()
    run_id = models.UUIDField()
    task_id = models.UUIDField()
    branch_id = models.BigIntegerField(null=True, blank=True)
    node_id = models.BigIntegerField(null=True, blank=True)
    ordinal = models.SmallIntegerField()
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "event_id"], name="ended_wait_by_event")
        ]


class StepWait(models.Model):
    """A sleep or an event that a parked task's step waits for; satisfied ones tell the task what came.

    `ordinal` is the position of the condition in the step's definition. Rows of a task whose step is
    decided are all satisfied.
    """

    pk = models.CompositePrimaryKey("task_id", "ordinal")
    task_id = models.UUIDField()
    ordinal = models.SmallIntegerField()
    tenant_id = models.UUIDField()
    run_id = models.UUIDField()
    version_id = models.UUIDField()
    step_id = models.UUIDField()
    event_key = models.TextField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    satisfied_at = models.DateTimeField(null=True, blank=True)
    event_id = models.UUIDField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                condition=Q(satisfied_at__isnull=True, due_at__isnull=False),
                name="step_wait_due",
            ),
            models.Index(
                fields=["tenant_id", "event_key"],
                condition=Q(satisfied_at__isnull=True, event_key__isnull=False),
                name="step_wait_by_event",
            ),
            models.Index(
                fields=["event_id"],
                condition=Q(event_id__isnull=False),
                name="step_wait_of_event",
            ),
        ]
