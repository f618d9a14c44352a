"""Hatchet's runs as the admin shows them: a view of the contract, nothing of this project's own."""

from __future__ import annotations

from django.db import models


class Run(models.Model):
    """A run; read only."""

    id = models.UUIDField(primary_key=True)
    workflow = models.TextField()
    status = models.TextField()
    priority = models.SmallIntegerField()
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = 'hatchet_v1"."runs'  # Django puts the quotes around it

    def __str__(self) -> str:
        return f"{self.workflow} {self.id}"
