"""What steps wait for before they start, beside their parents."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


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
