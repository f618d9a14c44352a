"""Payloads as answers show them: their stored bytes, embedded without parsing them again."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

import orjson

from engine.models import Task
from engine.models.json_objects import text_of
from engine.models.payload_queries import PayloadKey, payload_data
from engine.states import PayloadKind, Status
from tenants.api.errors import AnyDict

JsonObject = AnyDict | orjson.Fragment


def metadata_object(stored: AnyDict | None) -> JsonObject:
    text = text_of(stored)
    return {} if text is None else orjson.Fragment(text)


def json_object(data: bytes | None) -> JsonObject:
    """Return stored JSON as an object; anything else a worker may have sent is put under `value`."""
    text = (data or b"").strip()
    if text in (b"", b"null"):
        return {}
    if text.startswith(b"{"):
        return orjson.Fragment(text)
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"value": text.decode(errors="replace")}
    return {"value": orjson.Fragment(text)}


class Payloads:
    """The payloads of some runs and tasks, empty where they were not asked for or may not be seen."""

    def __init__(self, data: dict[PayloadKey, bytes], *, is_restricted: bool) -> None:
        self._data = data
        self.is_restricted = is_restricted

    def input_of(self, run_id: UUID) -> JsonObject:
        return json_object(self._data.get((run_id, PayloadKind.INPUT, 0)))

    def output_of(self, task: Task) -> JsonObject:
        """A task has one output, that of the attempt which completed it."""
        if task.status != Status.COMPLETED:
            return {}
        return json_object(self._data.get((task.id, PayloadKind.OUTPUT, 0)))

    def error_of(self, task_id: UUID, retry_count: int) -> str | None:
        data = self._data.get((task_id, PayloadKind.ERROR, retry_count))
        return None if data is None else data.decode(errors="replace")


def load_payloads(
    *,
    run_ids: Collection[UUID],
    tasks: Collection[Task],
    wanted: bool,
    may_view: bool,
    every_attempt: bool = False,
) -> Payloads:
    """Fetch in one query. Errors explain a status, so they come along even where payloads do not."""
    is_shown = wanted and may_view
    failed = [task.id for task in tasks if every_attempt or task.status == Status.FAILED]
    if is_shown:
        owners = {*run_ids, *(task.id for task in tasks)}
        kinds = {PayloadKind.INPUT, PayloadKind.OUTPUT, PayloadKind.ERROR}
    else:
        owners, kinds = set(failed), {PayloadKind.ERROR}
    return Payloads(payload_data(owners, kinds), is_restricted=not may_view)
