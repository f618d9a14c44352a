"""Who is alive: worker processes, engine processes, and which engine schedules which tenant."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from engine.ids import new_id


class Worker(models.Model):
    """One registration of a worker process. Every process start makes a new row."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="workers")
    name = models.TextField()
    actions = ArrayField(models.TextField())
    slots = models.JSONField()
    labels = models.JSONField()
    is_active = models.BooleanField(default=False)
    is_paused = models.BooleanField(default=False)
    engine_id = models.UUIDField(null=True, blank=True)
    last_heartbeat_at = models.DateTimeField(null=True, blank=True)
    last_listener_at = models.DateTimeField(null=True, blank=True)
    stalled_since = models.DateTimeField(null=True, blank=True)
    """When it was sent what it has not acknowledged in time, although its stream is open."""
    sdk_version = models.TextField(blank=True, default="")
    language = models.TextField(blank=True, default="")
    language_version = models.TextField(blank=True, default="")
    os = models.TextField(blank=True, default="")
    runtime_extra = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()


class EngineProcess(models.Model):
    """A running engine; without a heartbeat it is dead and its tenants are taken over."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    host = models.TextField()
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()


class Lease(models.Model):
    """Which engine schedules a tenant. `epoch` grows with every change of owner and fences writes."""

    tenant = models.OneToOneField(
        "tenants.Tenant", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    engine_id = models.UUIDField(null=True, blank=True)
    epoch = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)
