"""What is counted of what happened: totals for monitoring systems, and times by the minute."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class FiguresPosition(models.Model):
    """Up to when the event log is counted: one row, locked by whoever counts on. The first to count makes it."""

    name = models.TextField(primary_key=True)
    counted_until = models.DateTimeField()


class TenantTotal(models.Model):
    """A number of a tenant that only grows: a `TenantMetric`, of a histogram one bucket.

    `workflow_id` is the zero UUID where none is told apart, and for workflows beyond those that are;
    `status` is 0 where none is told apart. Bucket -1 of a histogram is the sum of what was observed.
    """

    pk = models.CompositePrimaryKey("tenant_id", "metric", "workflow_id", "status", "bucket")
    tenant_id = models.UUIDField()
    metric = models.SmallIntegerField()
    workflow_id = models.UUIDField()
    status = models.SmallIntegerField()
    bucket = models.SmallIntegerField()
    value = models.FloatField()


class WorkflowTiming(models.Model):
    """The histogram of a time (`Timed`) of a version's runs in one minute, later in one hour.

    `buckets` are those of domain/histogram.py that hold anything, rising, and `counts` how much.
    """

    pk = models.CompositePrimaryKey("tenant_id", "since", "is_hour", "version_id", "timed")
    tenant_id = models.UUIDField()
    since = models.DateTimeField()
    is_hour = models.BooleanField()
    version_id = models.UUIDField()
    timed = models.SmallIntegerField()
    workflow_id = models.UUIDField()
    buckets = ArrayField(models.SmallIntegerField())
    counts = ArrayField(models.IntegerField())
    total_seconds = models.FloatField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["since", "is_hour"], name="workflow_timing_by_age")
        ]
