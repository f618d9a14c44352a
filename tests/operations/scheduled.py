"""An engine that schedules the bench's tenant, and workers whose slots it knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from engine.models import EngineProcess, Lease, Worker
from tests.operations.bench import START, Bench


def scheduled(bench: Bench) -> None:
    later = START + timedelta(days=10_000)
    engine = EngineProcess.objects.create(host="here", started_at=later, heartbeat_at=later)
    Lease.objects.create(tenant_id=bench.tenant_id, engine_id=engine.id, epoch=1, expires_at=later)


def worker(bench: Bench, slots: int = 5, **options: Any) -> UUID:
    worker_id = bench.worker()
    engine_id = EngineProcess.objects.get().id
    settings: dict[str, Any] = {
        "actions": ["flow:work"],
        "slots": {"default": slots},
        "engine_id": engine_id,
    }
    settings |= options
    Worker.objects.filter(id=worker_id).update(**settings)
    return worker_id
