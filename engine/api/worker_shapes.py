"""How workers look in answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from engine.api.room import OMITTED_BYTES, Room
from engine.api.run_shapes import without_nones
from engine.models import Worker
from engine.models.slot_queries import used_slots
from engine.models.wide_columns import Wide, wide_values
from engine.models.worker_queries import status_of, trouble_of
from tenants.rest.errors import AnyDict
from tenants.rest.render import metadata, timestamp

_LANGUAGES = {"GOLANG", "PYTHON", "TYPESCRIPT", "RUBY"}
_ALIASES = {"GO": "GOLANG"}
_WIDE = ("actions", "slots", "labels", "runtime_extra")
_SHOWN_TIMES = 4
"""A label is shown with much around it."""


def label_text(value: object) -> str | None:
    """Labels are texts or numbers; answers and filters know texts only."""
    return None if value is None else str(value)


def lean_workers() -> QuerySet[Worker]:
    return Worker.objects.defer(*_WIDE)


def worker_rows(worker_ids: Sequence[UUID], now: datetime, room: Room) -> list[AnyDict]:
    """Return these workers in this order, with what they offer as far as there is room for it."""
    found = lean_workers().in_bulk(worker_ids)
    used = used_slots(worker_ids)
    most = room.left // _SHOWN_TIMES
    offered = wide_values(Worker.objects.filter(id__in=worker_ids), _WIDE, room=most)
    return [
        _worker_shape(found[each], now, used.get(each, {}), offered.get(each, {}), room)
        for each in worker_ids
        if each in found
    ]


def _worker_shape(
    worker: Worker,
    now: datetime,
    used: Mapping[str, int],
    offered: Mapping[str, Wide],
    room: Room,
) -> AnyDict:
    labels, slots = (room.parsed(offered.get(name)) for name in ("labels", "slots"))
    left_out = sum(value.length for value in offered.values() if value.data is None)
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
                for kind, limit in slots.items()
            },
            "labels": [
                {
                    "metadata": metadata(worker.id, worker.created_at, worker.updated_at),
                    "key": key,
                    "value": label_text(value),
                }
                for key, value in sorted(labels.items())
            ],
            "actions": room.list(offered.get("actions")),
            OMITTED_BYTES: left_out or None,
            "runtimeInfo": _runtime_shape(worker, room.text(offered.get("runtime_extra"))),
        }
    )


def _runtime_shape(worker: Worker, extra: str | None) -> AnyDict:
    language = _ALIASES.get(worker.language.upper(), worker.language.upper())
    return without_nones(
        {
            "sdkVersion": worker.sdk_version or None,
            "language": language if language in _LANGUAGES else None,
            "languageVersion": worker.language_version or None,
            "os": worker.os or None,
            "runtimeExtra": extra or None,
        }
    )
