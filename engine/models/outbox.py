"""What programs of the same database ask for in transactions of their own: the tables behind `hatchet_v1`."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from engine.ids import new_id


class OutboxRow(models.Model):
    """A wish (an OutboxKind) that has committed and that an engine is to carry out; then it goes.

    `id` is that of the run, event or schedule to be, and sorts as it was asked for. `name` is a workflow's
    or an event's key, `target_id` what is to be cancelled or completed. A row that waits has `due_at`. One
    that cannot be carried out stays, with the reason. Written by the functions of `hatchet_v1` only.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    kind = models.SmallIntegerField()
    name = models.TextField()
    data = models.BinaryField(null=True)
    metadata = models.TextField(null=True, blank=True)
    priority = models.SmallIntegerField(null=True, blank=True)
    scope = models.TextField(null=True, blank=True)
    target_id = models.UUIDField(null=True, blank=True)
    retry_count = models.IntegerField(null=True, blank=True)
    trigger_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    size = models.IntegerField()
    role = models.TextField()
    created_at = models.DateTimeField()
    failed_at = models.DateTimeField(null=True, blank=True)
    failure = models.TextField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            # Of several attempts at a task one completes it: the others' transactions fail.
            models.UniqueConstraint(
                fields=["target_id"], condition=Q(kind=4), name="outbox_one_completion"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id", "id"],
                condition=Q(failed_at__isnull=True, due_at__isnull=True),
                name="outbox_ready",
            ),
            models.Index(
                fields=["due_at"],
                condition=Q(failed_at__isnull=True, due_at__isnull=False),
                name="outbox_due",
            ),
            models.Index(
                fields=["tenant_id", "id"],
                condition=Q(failed_at__isnull=False),
                name="outbox_failed",
            ),
        ]


class OutboxKey(models.Model):
    """What was enqueued with a key, whose SHA-256 `digest` is: until it expires the key names that run."""

    pk = models.CompositePrimaryKey("tenant_id", "digest")
    tenant_id = models.UUIDField()
    digest = models.BinaryField(max_length=32)
    owner_id = models.UUIDField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="outbox_key_expiry")]


class SqlRole(models.Model):
    """A role of the database that may act for a tenant through `hatchet_v1`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    role = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["role", "tenant"], name="sql_role_once_per_tenant")
        ]
