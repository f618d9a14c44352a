"""How workers look in answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.api.run_shapes import without_nones
from engine.models import Worker
from engine.models.worker_queries import status_of, trouble_of
from tenants.api.errors import AnyDict
from tenants.api.render import metadata, timestamp

_LANGUAGES = {"GOLANG", "PYTHON", "TYPESCRIPT", "RUBY"}
_ALIASES = {"GO": "GOLANG"}


def label_text(value: object) -> str | None:
    """Labels are texts or numbers; answers and filters know texts only."""
    return None if value is None else str(value)


def worker_shape(worker: Worker, now: datetime, used: Mapping[str, int]) -> AnyDict:
    return without_nones(
        {
            "metadata": metadata(worker.id, worker.created_at, worker.updated_at),
            "name": worker.name,
            "type": "SELFHOSTED",
            "status": status_of(worker, now).value,
            "trouble": trouble_of(worker, now) or None,
            "lastHeartbeatAt": timestamp(worker.last_heartbeat_at),
            "lastListenerEstablished": timestamp(worker.last_listener_at),
            "dispatcherId": None if worker.engine_id is None else str(worker.engine_id),
            "slotConfig": {
                kind: {"limit": limit, "available": max(0, limit - used.get(kind, 0))}
                for kind, limit in worker.slots.items()
            },
            "labels": [
                {
                    "metadata": metadata(worker.id, worker.created_at, worker.updated_at),
                    "key": key,
                    "value": label_text(value),
                }
                for key, value in sorted(worker.labels.items())
            ],
            "runtimeInfo": _runtime_shape(worker),
        }
    )


def _runtime_shape(worker: Worker) -> AnyDict:
    language = _ALIASES.get(worker.language.upper(), worker.language.upper())
    return without_nones(
        {
            "sdkVersion": worker.sdk_version or None,
            "language": language if language in _LANGUAGES else None,
            "languageVersion": worker.language_version or None,
            "os": worker.os or None,
            "runtimeExtra": worker.runtime_extra or None,
        }
    )
