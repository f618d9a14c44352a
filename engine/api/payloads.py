"""Payloads as answers show them: their stored bytes, embedded without parsing them again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol
from uuid import UUID

from engine.api.room import JsonObject, Room
from engine.models import Task
from engine.models.wide_columns import Wide
from engine.states import PayloadKind, Status
from engine.store import payloads, runs, sync_db
from engine.store.payloads import ReadMetadata
from engine.store.query import Query

PayloadKey = tuple[UUID, int, int]


class MetadataQuery(Protocol):
    def __call__(self, ids: Collection[UUID], *, room: int) -> Query[ReadMetadata]: ...


class Payloads:
    """The payloads and the metadata of some runs and tasks, as far as the answer has room for them.

    Payloads are empty where they were not asked for or may not be seen.
    """

    def __init__(
        self,
        data: Mapping[PayloadKey, Wide],
        metadata: Mapping[UUID, Wide],
        room: Room,
        *,
        is_restricted: bool,
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
        return self.room.json(self._metadata.get(run_id))


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
    metadata = read_metadata(runs.metadata, run_ids, room=room.left)
    fetched = sum(value.length for value in metadata.values() if value.data)
    data = read_payloads(owners, kinds, room=room.left - fetched, first_owners=first_owners)
    return Payloads(data, metadata, room, is_restricted=not may_view)


def read_payloads(
    owner_ids: Collection[UUID],
    kinds: Collection[PayloadKind],
    *,
    room: int,
    first_owners: Collection[UUID] = (),
) -> dict[PayloadKey, Wide]:
    """Return payloads by (owner, kind, attempt), the smallest up to `room` bytes with their data.

    Inputs and outputs of `first_owners` come before all others.
    """
    if not owner_ids or not kinds:
        return {}
    query = payloads.read(owner_ids, kinds, room=room, first_owner_ids=first_owners)
    return {
        (row.owner_id, row.kind, row.attempt): Wide(row.length, row.data)
        for row in sync_db.read(query)
    }


def read_metadata(query_of: MetadataQuery, ids: Collection[UUID], *, room: int) -> dict[UUID, Wide]:
    """Return the metadata of those rows that have some, the smallest up to `room` bytes with its text."""
    if not ids:
        return {}
    return {
        row.id: Wide(row.length, None if row.metadata is None else row.metadata.encode())
        for row in sync_db.read(query_of(ids, room=room))
    }
