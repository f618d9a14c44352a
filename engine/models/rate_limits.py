"""Rate limits, and what is left of each."""

from typing import ClassVar

from django.db import models


class RateLimit(models.Model):
    """Units of a key within a window. `value` is what was left when it was last written: the window may
    be over. `is_dynamic` tells limits that tasks brought along from those that clients set.
    """

    pk = models.CompositePrimaryKey("tenant_id", "key")
    tenant_id = models.UUIDField()
    key = models.TextField()
    limit_value = models.IntegerField()
    window = models.SmallIntegerField()
    value = models.IntegerField()
    refilled_at = models.DateTimeField()
    paused_until = models.DateTimeField(null=True, blank=True)
    is_dynamic = models.BooleanField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["tenant_id"],
                condition=models.Q(is_dynamic=False) | models.Q(paused_until__isnull=False),
                name="rate_limit_settings",
            )
        ]
