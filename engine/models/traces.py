"""Spans that clients sent. Like the hot tables, partitioned by ranges of UUIDv7 ids."""

from typing import ClassVar

from django.db import models

from engine.ids import new_id


class Span(models.Model):
    """A span of a trace. Its id follows from it, and lies no sooner than its run and its beginning.

    `run_id` is null where a client of ours made it outside of any run. Ids of spans are signed; attributes and
    events are texts of JSON documents.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    run_id = models.UUIDField(null=True, blank=True)
    retry_count = models.IntegerField()
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField()
    parent_span_id = models.BigIntegerField(null=True, blank=True)
    name = models.TextField()
    kind = models.SmallIntegerField()
    status = models.SmallIntegerField()
    status_message = models.TextField()
    service_name = models.TextField()
    scope_name = models.TextField()
    scope_version = models.TextField()
    started_at = models.DateTimeField()
    duration_ns = models.BigIntegerField()
    resource_attributes = models.TextField()
    attributes = models.TextField()
    events = models.TextField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "trace_id"], name="span_by_trace"),
            models.Index(fields=["tenant_id", "run_id"], name="span_by_run"),
        ]
