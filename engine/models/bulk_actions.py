"""Cancelling or replaying all runs that a filter selects, however many: a row for each such wish."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from engine.ids import new_id


class BulkAction(models.Model):
    """What is to be done (a BulkKind) with which runs, how far it has come, and its BulkState.

    It works from the newest selected run to the oldest; `cursor` is the last run it has done with. `total`
    was counted when it was staged, `done` are runs it has come to, `changed` what it cancelled or
    replayed of them, `collisions` the runs that stayed because others hold their idempotency keys.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    kind = models.SmallIntegerField()
    state = models.SmallIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    statuses = ArrayField(models.SmallIntegerField())
    workflow_ids = ArrayField(models.UUIDField())
    metadata_keys = ArrayField(models.TextField())
    metadata_values = ArrayField(models.TextField())
    needs_every_pair = models.BooleanField()
    error_group_id = models.UUIDField(null=True, blank=True)
    total = models.IntegerField()
    done = models.IntegerField(default=0)
    changed = models.IntegerField(default=0)
    collisions = models.IntegerField(default=0)
    cursor = models.UUIDField(null=True, blank=True)
    error = models.TextField(default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "id"], name="bulk_action_by_tenant"),
            models.Index(fields=["updated_at"], condition=Q(state=1), name="bulk_action_running"),
        ]
