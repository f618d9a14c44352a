"""The audit log: who changed what, one row a thing that was changed. Nothing updates or deletes a row."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class ActorKind(StrEnum):
    PERSON = "person"
    TOKEN = "token"
    CLI = "cli"
    SYSTEM = "system"


class AuditEntry(models.Model):
    """`tenant_id` is none of a foreign key: entries stay when their tenant is deleted.

    `action` is `resource.verb`. `before` and `after` hold what differs, or all of what was made or deleted;
    what may be secret is withheld from them.
    """

    id = models.BigAutoField(primary_key=True)
    tenant_id = models.UUIDField(null=True)
    at = models.DateTimeField(db_default=Now())
    actor_kind = models.TextField()
    actor_id = models.TextField(db_default="")
    actor_name = models.TextField(db_default="")
    action = models.TextField()
    resource_kind = models.TextField()
    resource_id = models.TextField(db_default="")
    resource_name = models.TextField(db_default="")
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    address = models.TextField(db_default="")
    user_agent = models.TextField(db_default="")

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["tenant_id", "id"], name="audit_by_tenant"),
            models.Index(
                fields=["tenant_id", "resource_kind", "resource_id", "id"], name="audit_by_resource"
            ),
            models.Index(fields=["tenant_id", "actor_id", "id"], name="audit_by_actor"),
            models.Index(fields=["tenant_id", "action", "id"], name="audit_by_action"),
            models.Index(fields=["at"], name="audit_by_time"),
        ]
