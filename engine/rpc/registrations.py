"""Workers' registrations, checked."""

from __future__ import annotations

from engine.errors import InvalidArgument
from engine.pb import dispatcher_pb2
from engine.rpc.parse import (
    check_count,
    parse_action,
    parse_key,
    parse_labels,
    parse_name,
    parse_text,
    unique,
)
from engine.types import WorkerRegistration

_MOST_ACTIONS = 50_000
_MOST_SLOT_TYPES = 1_000
_DEFAULT_SLOTS = {"default": 100}
_LANGUAGES = {
    dispatcher_pb2.GO: "GOLANG",
    dispatcher_pb2.PYTHON: "PYTHON",
    dispatcher_pb2.TYPESCRIPT: "TYPESCRIPT",
    dispatcher_pb2.RUBY: "RUBY",
}


def parse_registration(request: dispatcher_pb2.WorkerRegisterRequest) -> WorkerRegistration:
    check_count(request.services, _MOST_ACTIONS, "services")
    check_count(request.actions, _MOST_ACTIONS, "actions")
    check_count(request.slot_config, _MOST_SLOT_TYPES, "slot_config")
    for service in request.services:
        parse_name(service, "services")
    if request.webhook_id:
        raise InvalidArgument("webhook_id: webhook workers are not supported")
    runtime = request.runtime_info
    return WorkerRegistration(
        name=parse_name(request.worker_name, "worker_name"),
        actions=unique(parse_action(action, "actions") for action in request.actions),
        slots=_parse_slots(request),
        labels=parse_labels(request.labels),
        sdk_version=parse_text(runtime.sdk_version, "runtime_info.sdk_version"),
        language=_LANGUAGES.get(runtime.language, ""),
        language_version=parse_text(runtime.language_version, "runtime_info.language_version"),
        os=parse_text(runtime.os, "runtime_info.os"),
        runtime_extra=parse_text(runtime.extra, "runtime_info.extra", limit=10_000),
    )


def _parse_slots(request: dispatcher_pb2.WorkerRegisterRequest) -> dict[str, int]:
    if request.HasField("slots"):
        if request.slot_config:
            raise InvalidArgument("slots and slot_config exclude each other")
        slots = {"default": request.slots}
    else:
        slots = dict(request.slot_config) or dict(_DEFAULT_SLOTS)
    for kind, count in slots.items():
        parse_key(kind, "slot_config key")
        if count < 0:
            raise InvalidArgument(f'slot_config: "{kind}" cannot be negative')
    return slots
