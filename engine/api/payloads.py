"""Payloads as answers show them: their stored bytes, embedded without parsing them again."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from engine.api.room import JsonObject, Room
from engine.models import Run, Task
from engine.models.payload_queries import PayloadKey, payload_data
from engine.models.wide_columns import Values, Wide, wide_values
from engine.states import PayloadKind, Status


class Payloads:
    """The payloads and the metadata of some runs and tasks, as far as the answer has room for them.

    Payloads are empty where they were not asked for or may not be seen.
    """

    def __init__(
        self, data: dict[PayloadKey, Wide], metadata: Values, room: Room, *, is_restricted: bool
    ) -> None:
        self._data = data
        self._metadata = metadata
        self.room = room
        self.is_restricted = is_restricted

    def input_of(self, run_id: UUID) -> JsonObject:
        return self.room.json(self._data.get((run_id, PayloadKind.INPUT, 0)))

    def output_of(self, task: Task) -> JsonObject:
        """A task has one output, that of the attempt which completed it."""
        if task.status != Status.COMPLETED:
            return {}
        return self.room.json(self._data.get((task.id, PayloadKind.OUTPUT, 0)))

    def error_of(self, task_id: UUID, retry_count: int) -> str | None:
        return self.room.text(self._data.get((task_id, PayloadKind.ERROR, retry_count)))

    def metadata_of(self, run_id: UUID) -> JsonObject:
        return self.room.json(self._metadata.get(run_id, {}).get("additional_metadata"))


def load_payloads(
    *,
    run_ids: Collection[UUID],
    tasks: Collection[Task],
    wanted: bool,
    may_view: bool,
    room: Room,
    every_attempt: bool = False,
    first_owners: Collection[UUID] = (),
) -> Payloads:
    """Fetch in two queries. Errors explain a status, so they come along even where payloads do not."""
    is_shown = wanted and may_view
    failed = [task.id for task in tasks if every_attempt or task.status == Status.FAILED]
    if is_shown:
        owners = {*run_ids, *(task.id for task in tasks)}
        kinds = {PayloadKind.INPUT, PayloadKind.OUTPUT, PayloadKind.ERROR}
    else:
        owners, kinds = set(failed), {PayloadKind.ERROR}
    runs = Run.objects.filter(id__in=run_ids)
    metadata = wide_values(runs, ["additional_metadata"], room=room.left) if run_ids else {}
    fetched = sum(
        value.length for values in metadata.values() for value in values.values() if value.data
    )
    data = payload_data(owners, kinds, room=room.left - fetched, first_owners=first_owners)
    return Payloads(data, metadata, room, is_restricted=not may_view)
