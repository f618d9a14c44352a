"""Hot tables. All are partitioned by ranges of UUIDv7 ids; see migrations/0002 for the SQL side.

Foreign keys are plain UUID columns here: the database does not enforce them on hot tables.
"""

from typing import ClassVar

from django.contrib.postgres.indexes import BrinIndex, HashIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import MD5

from engine.ids import new_id
from engine.models.json_objects import JsonObjectField
from engine.states import LogLevel, Status


class Run(models.Model):
    """One execution of a workflow version. Its status is final only when every step is settled."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    workflow_id = models.UUIDField()
    version_id = models.UUIDField()
    status = models.SmallIntegerField()
    is_dag = models.BooleanField()
    priority = models.SmallIntegerField()
    trigger = models.SmallIntegerField()
    additional_metadata = JsonObjectField(null=True, blank=True)
    parent_run_id = models.UUIDField(null=True, blank=True)
    parent_task_id = models.UUIDField(null=True, blank=True)
    child_index = models.IntegerField(null=True, blank=True)
    child_key = models.TextField(null=True, blank=True)
    event_id = models.UUIDField(null=True, blank=True)
    event_key = models.TextField(null=True, blank=True)
    filter_id = models.UUIDField(null=True, blank=True)
    desired_labels = models.TextField(null=True, blank=True)
    idempotency_key = models.TextField(null=True, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "id"], name="run_by_tenant"),
            models.Index(
                fields=["parent_task_id", "id"],
                condition=Q(parent_task_id__isnull=False),
                name="run_by_parent_task",
            ),
            models.Index(
                fields=["event_id", "id"], condition=Q(event_id__isnull=False), name="run_by_event"
            ),
            HashIndex(
                fields=["idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="run_by_idempotency_key",
            ),
        ]


class Task(models.Model):
    """One step of one run. A standalone run has exactly one task, with the run's own id.

    `retry_count` numbers the attempts from 0, all kinds of retries counted; (id, retry_count) fences
    reports. `desired_labels` and `desired_worker_id` are the worker that its run and it ask for, for
    the scheduler. `due_at` is the next instant at which time itself must act: the end of the back-off
    (queued, `is_delayed`), the schedule timeout (queued) or the execution timeout (running). For a task
    of a paused workflow (`is_delayed` and `is_held`) it is the end of the time it is held.
    `concurrency_keys` are what expressions came to when it was created, for the scheduler: the keys of its
    groups and the rate limits it takes part in. A durable task that `is_evicted` is running without a
    worker, or queued to go on; it keeps the slots of its groups.
    `batch_id` names the batch in which an attempt runs, or ran last.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    run_id = models.UUIDField()
    workflow_id = models.UUIDField()
    version_id = models.UUIDField()
    step_id = models.UUIDField()
    action_id = models.TextField()
    status = models.SmallIntegerField()
    queue_priority = models.SmallIntegerField()
    retry_count = models.IntegerField(default=0)
    app_retry_count = models.IntegerField(default=0)
    internal_retry_count = models.IntegerField(default=0)
    worker_id = models.UUIDField(null=True, blank=True)
    desired_worker_id = models.UUIDField(null=True, blank=True)
    desired_labels = models.TextField(null=True, blank=True)
    is_delayed = models.BooleanField(default=False)
    is_held = models.BooleanField(default=False, db_default=False)
    is_slot_released = models.BooleanField(default=False)
    is_skipped = models.BooleanField(default=False)
    is_evicted = models.BooleanField(default=False, db_default=False)
    due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    queued_at = models.DateTimeField()
    assigned_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    concurrency_keys = models.TextField(null=True, blank=True)
    batch_id = models.UUIDField(null=True, blank=True)

    @property
    def shown_status(self) -> Status:
        """What people are told: a durable task that is queued to go on still runs."""
        return Status.RUNNING if self.is_evicted else Status(self.status)

    @property
    def is_off_worker(self) -> bool:
        """Whether it is a durable task that waits without a worker."""
        return self.is_evicted and self.status == Status.RUNNING

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id", "action_id", "-queue_priority", "id"],
                condition=Q(status=0, is_delayed=False),
                name="task_queue",
            ),
            models.Index(
                fields=["tenant_id", "queued_at", "id"],
                condition=Q(
                    status=0, is_held=False, due_at__isnull=False, concurrency_keys__isnull=False
                ),
                name="task_in_groups_or_resting",
            ),
            models.Index(
                fields=["tenant_id"],
                condition=Q(is_evicted=True, status__lt=2),
                name="task_evicted",
            ),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="task_due"),
            models.Index(fields=["worker_id"], condition=Q(status=1), name="task_on_worker"),
            models.Index(fields=["workflow_id"], condition=Q(is_held=True), name="task_held"),
            models.Index(fields=["run_id"], condition=~Q(run_id=F("id")), name="task_of_dag_run"),
        ]


class TaskEvent(models.Model):
    """The event log: append-only, one row per thing that happened to a task."""

    pk = models.CompositePrimaryKey("run_id", "id")
    id = models.UUIDField(default=new_id)
    run_id = models.UUIDField()
    task_id = models.UUIDField()
    retry_count = models.IntegerField()
    kind = models.SmallIntegerField()
    at = models.DateTimeField()
    worker_id = models.UUIDField(null=True, blank=True)
    message = models.TextField(default="")

    class Meta:
        # What was written in a stretch of time lies together: a few bytes a megabyte find it.
        indexes: ClassVar = [
            BrinIndex(
                fields=["id"],
                autosummarize=True,
                pages_per_range=32,
                name="task_event_by_time_brin",
            )
        ]


class Payload(models.Model):
    """Opaque bytes: input of a run, output or error of a task, payload of an event.

    They may be encrypted, or refer to an object; engine/store/sealing.py makes payloads of them.
    """

    pk = models.CompositePrimaryKey("owner_id", "kind", "attempt")
    owner_id = models.UUIDField()
    kind = models.SmallIntegerField()
    attempt = models.IntegerField(default=0)
    data = models.BinaryField()


class LogLine(models.Model):
    """One line a task logged with PutLog. Lines written by engines of before 0032 may lack their step."""

    pk = models.CompositePrimaryKey("run_id", "id")
    id = models.UUIDField(default=new_id)
    run_id = models.UUIDField()
    task_id = models.UUIDField()
    step_id = models.UUIDField(null=True, blank=True)
    tenant_id = models.UUIDField()
    retry_count = models.IntegerField()
    level = models.SmallIntegerField()
    message = models.TextField()
    metadata = JsonObjectField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "id"], name="log_line_by_tenant"),
            models.Index(
                fields=["tenant_id", "id"],
                condition=Q(level__gte=LogLevel.WARN),
                name="log_line_grave",
            ),
        ]


class Event(models.Model):
    """An event a client pushed; stored whether or not it starts anything."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    key = models.TextField()
    scope = models.TextField(null=True, blank=True)
    additional_metadata = JsonObjectField(null=True, blank=True)
    priority = models.SmallIntegerField(null=True, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "id"], name="event_by_tenant"),
            models.Index(
                "tenant_id",
                MD5("scope"),
                "id",
                condition=Q(scope__isnull=False),
                name="event_by_scope",
            ),
        ]


class ChildLink(models.Model):
    """Makes a spawned child unique per parent task and key: a repeat finds the first child's run."""

    pk = models.CompositePrimaryKey("parent_task_id", "key")
    parent_task_id = models.UUIDField()
    key = models.TextField()
    run_id = models.UUIDField()


class IdempotencyKey(models.Model):
    """Which run holds a key of a tenant, the SHA-256 of its text, and until when.

    A key that `ends_with_run` is free as soon as its run is final: that is read from the run, so no
    write can forget to release it.
    """

    pk = models.CompositePrimaryKey("tenant_id", "digest")
    tenant_id = models.UUIDField()
    digest = models.BinaryField(max_length=32)
    run_id = models.UUIDField()
    expires_at = models.DateTimeField()
    ends_with_run = models.BooleanField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="idempotency_key_expiry")]


class RunSlot(models.Model):
    """That a run of several tasks holds slots of its workflow's concurrency groups, or asks for them.

    It goes when the run ends. `keys` are those of its groups, for the scheduler; it `is_holding` once
    one of its tasks was handed to a worker. `arrival` is another one when the run is replayed.
    """

    run_id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField()
    version_id = models.UUIDField()
    arrival = models.UUIDField()
    keys = models.TextField()
    is_holding = models.BooleanField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id"], condition=Q(is_holding=True), name="run_slot_of_tenant"
            )
        ]


class RunTally(models.Model):
    """Changes of run counts per minute of creation and status; a count is the sum of its rows.

    Written by a statement trigger on run, so no write can forget it; compacted by a controller.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    workflow_id = models.UUIDField()
    minute = models.DateTimeField()
    status = models.SmallIntegerField()
    delta = models.IntegerField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "minute"], name="run_tally_by_minute")
        ]


class LogTally(models.Model):
    """Log lines that were written for a step in a minute, by level; a count is the sum of its rows.

    Written by a statement trigger on log line, compacted and cleared by a controller.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField()
    step_id = models.UUIDField()
    minute = models.DateTimeField()
    level = models.SmallIntegerField()
    lines = models.IntegerField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "minute"], name="log_tally_by_minute")
        ]
