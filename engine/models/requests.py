"""What requests over REST leave behind beside their work."""

from typing import ClassVar

from django.db import models


class AnsweredRequest(models.Model):
    """The answer to a POST that had an `Idempotency-Key`, for whoever sends it again.

    `key_digest` is the SHA-256 of the key, `request_digest` that of what was asked.
    """

    pk = models.CompositePrimaryKey("tenant_id", "key_digest")
    tenant_id = models.UUIDField()
    key_digest = models.BinaryField(max_length=32)
    request_digest = models.BinaryField(max_length=32)
    status = models.SmallIntegerField()
    body = models.BinaryField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["expires_at"], name="answered_request_expiry")]
