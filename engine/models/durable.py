"""The log of durable tasks, and what its entries wait for.

Task and entry rows are partitioned by ranges of task ids, as tasks are; see migrations/sql/0012.
"""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class DurableTask(models.Model):
    """The counters of one durable task, made with its first assignment.

    Its row is the lock on the task's log. `node_id` is the last node the present invocation reached,
    `satisfied_order` the last order given out. `forks` is a JSON list: where each branch after the first
    left which branch, as [parent branch, first node]; NULL while there is only branch 1. `passed_nodes`
    is a JSON list: the nodes before `node_id` whose calls the present invocation has still to make again;
    NULL as long as it kept the recorded order. `restored_count` says how often in a row an eviction ended
    at once, without anything new in the log.
    """

    task_id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField()
    invocation_count = models.IntegerField()
    branch_id = models.BigIntegerField()
    node_id = models.BigIntegerField()
    satisfied_order = models.BigIntegerField()
    forks = models.TextField(null=True, blank=True)
    passed_nodes = models.TextField(null=True, blank=True)
    restored_count = models.IntegerField(default=0, db_default=0)


class DurableEntry(models.Model):
    """One call of a durable task, with its outcome once `satisfied_at` is set.

    `identity` is a hash of what must be the same in every invocation. `description` says the same to
    people. `detail` is what a wait waits for, or a child's workflow, as the API shows it. `error` is set
    for a child that failed. `dedupe_key` tells a child from others by its key or index, and a wait from
    others by its scopes; branch 0 holds waits of the older API, under theirs.
    `recorded_after` is the last order its invocation was told of before it made the call: what has a
    higher one is told again only after this call was made again.
    """

    pk = models.CompositePrimaryKey("task_id", "branch_id", "node_id")
    task_id = models.UUIDField()
    branch_id = models.BigIntegerField()
    node_id = models.BigIntegerField()
    kind = models.SmallIntegerField()
    identity = models.BinaryField(max_length=32)
    description = models.TextField()
    label = models.TextField(null=True, blank=True)
    detail = models.TextField(null=True, blank=True)
    dedupe_key = models.TextField(null=True, blank=True)
    child_run_id = models.UUIDField(null=True, blank=True)
    is_awaited = models.BooleanField()
    created_at = models.DateTimeField()
    satisfied_at = models.DateTimeField(null=True, blank=True)
    satisfied_order = models.BigIntegerField(null=True, blank=True)
    recorded_after = models.BigIntegerField(null=True, blank=True)
    result = models.BinaryField(null=True, blank=True)
    error = models.TextField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["task_id", "dedupe_key"],
                condition=Q(dedupe_key__isnull=False),
                name="durable_entry_by_key",
            ),
            models.Index(
                fields=["child_run_id"],
                condition=Q(child_run_id__isnull=False, satisfied_at__isnull=True),
                name="durable_entry_by_child",
            ),
        ]


class DurableWait(models.Model):
    """A condition of an entry that is not complete yet; the rows go when it is.

    Conditions of one `group` are alternatives. `source` is the sleep's duration as the client wrote it,
    or the event's key. `payload` is the event that met the condition. What a branch waited for that was
    left by a reset `is_dropped`: it counts again if a reset goes back to that branch.
    """

    pk = models.CompositePrimaryKey("task_id", "branch_id", "node_id", "ordinal")
    task_id = models.UUIDField()
    branch_id = models.BigIntegerField()
    node_id = models.BigIntegerField()
    ordinal = models.SmallIntegerField()
    tenant_id = models.UUIDField()
    group = models.SmallIntegerField()
    is_event = models.BooleanField()
    source = models.TextField()
    data_key = models.TextField()
    expression = models.TextField()
    scope = models.TextField(null=True, blank=True)
    since = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    satisfied_at = models.DateTimeField(null=True, blank=True)
    payload = models.BinaryField(null=True, blank=True)
    is_dropped = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                condition=Q(satisfied_at__isnull=True, due_at__isnull=False, is_dropped=False),
                name="durable_wait_due",
            ),
            models.Index(
                fields=["tenant_id", "source"],
                condition=Q(satisfied_at__isnull=True, is_event=True, is_dropped=False),
                name="durable_wait_by_event",
            ),
        ]


class EndedChild(models.Model):
    """A child of a durable task that ended; its parent's entry is completed soon after.

    Written by a row trigger on run, so no write can forget it.
    """

    run_id = models.UUIDField(primary_key=True)
    tenant_id = models.UUIDField()
    task_id = models.UUIDField()
