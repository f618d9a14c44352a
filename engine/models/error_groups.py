"""Failures of attempts, and the groups of those that are the same."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from engine.ids import new_id


class FailedAttempt(models.Model):
    """An attempt that failed, kept for a month; `group_id` is set when a controller has come to it.

    `is_final` says that no retry follows. `type`, `message` and `frame` are its fingerprint's until then.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    group_id = models.UUIDField(null=True, blank=True)
    run_id = models.UUIDField()
    task_id = models.UUIDField()
    retry_count = models.IntegerField()
    workflow_id = models.UUIDField()
    version_id = models.UUIDField()
    action_id = models.TextField()
    worker_id = models.UUIDField(null=True, blank=True)
    is_final = models.BooleanField()
    at = models.DateTimeField()
    digest = models.BinaryField(max_length=16)
    type = models.TextField()
    message = models.TextField()
    frame = models.TextField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "id"], name="failed_attempt_by_tenant"),
            models.Index(
                fields=["group_id", "run_id"],
                condition=Q(group_id__isnull=False),
                name="failed_attempt_by_group",
            ),
            models.Index(
                fields=["id"], condition=Q(group_id__isnull=True), name="failed_attempt_alone"
            ),
        ]


class ErrorGroup(models.Model):
    """Failures with one fingerprint, and their ErrorState. `count` are attempts, `final_count` those no retry followed.

    `run_id`, `task_id` and `retry_count` name the latest of them. A group that is RESOLVED is OPEN again,
    since `reopened_at`, when it fails anew; one that is MUTED stays so until `muted_until`, or for good.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    digest = models.BinaryField(max_length=16)
    workflow_id = models.UUIDField()
    action_id = models.TextField()
    type = models.TextField()
    message = models.TextField()
    frame = models.TextField()
    state = models.SmallIntegerField(default=0)
    count = models.BigIntegerField()
    final_count = models.BigIntegerField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    run_id = models.UUIDField()
    task_id = models.UUIDField()
    retry_count = models.IntegerField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    reopened_at = models.DateTimeField(null=True, blank=True)
    muted_until = models.DateTimeField(null=True, blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant_id", "digest"], name="error_group_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "last_seen_at", "id"], name="error_group_by_tenant")
        ]


class ErrorTally(models.Model):
    """How many failures of a group there were in an hour, by version and worker."""

    id = models.BigAutoField(primary_key=True)
    group = models.ForeignKey(
        ErrorGroup, on_delete=models.CASCADE, related_name="tallies", db_constraint=False
    )
    hour = models.DateTimeField()
    version_id = models.UUIDField()
    worker_id = models.UUIDField()
    count = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["group", "hour", "version_id", "worker_id"], name="error_tally_once"
            )
        ]
