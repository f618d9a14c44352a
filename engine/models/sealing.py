"""What it takes to read payloads that are not stored as they came: keys, and where their objects are."""

from typing import ClassVar

from django.db import models

from engine.ids import new_id


class TenantKey(models.Model):
    """A data key of a tenant, encrypted with the master key that `master` names.

    New payloads are encrypted with the newest key of their tenant, and each says with which. When the row is
    gone nobody can read them any more. The key of the tenant that is all zeros encrypts nothing: it shows at
    each start that the master keys are the right ones.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant_id = models.UUIDField()
    wrapped = models.BinaryField()
    master = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["tenant_id", "id"], name="tenant_key_by_tenant")]


class PayloadStore(models.Model):
    """That payloads of this database may be objects, and where they were put last."""

    location = models.TextField(primary_key=True)
    used_at = models.DateTimeField()
