"""What happened outside any transaction and belongs into the event log all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.domain.scheduler.limits import Refused
from engine.ids import new_id
from engine.runtime.loops.isolation import isolate
from engine.runtime.loops.periodic import PeriodicService
from engine.states import TaskEventKind
from engine.store import task_events
from engine.store.async_db import AsyncDatabase
from engine.store.query import Query
from engine.store.task_events import SentNote, WaitingNote
from engine.types import Action

log = logging.getLogger("hatchet.controllers")

Note = TypeVar("Note", SentNote, WaitingNote)

_NOTES_AT_ONCE = 1000


class EventNotes(PeriodicService):
    """Gathers rows that carry their own ids and times, so that it does not matter when they are written.

    A start that was sent is written beside the next reports, which costs no transaction; what no
    report comes for is written within a second. A crash loses notes: the log never tells more than
    happened.
    """

    name = "event notes"
    interval_seconds = 1.0

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._sent: list[SentNote] = []
        self._waiting: list[WaitingNote] = []
        self._refused: list[WaitingNote] = []

    def add_sent(self, action: Action, worker_id: UUID, event_id: UUID, taken_at: datetime) -> None:
        """A START went over its worker's stream; `event_id` was made when it was taken from the queue."""
        at = taken_at.timestamp()
        items = action.items
        note_ids = (event_id, *(new_id() for _ in items[1:]))
        self._sent += [
            SentNote(note_id, item.run_id, item.task_id, item.retry_count, at, worker_id)
            for note_id, item in zip(note_ids, items, strict=True)
        ]

    def add_no_worker(self, task: ReadyTask) -> None:
        """An attempt waits and no worker that could take it is connected."""
        message = f"No worker that takes {task.action_id} is connected."
        self._add_waiting(task, TaskEventKind.REQUEUED_NO_WORKER, message)

    def add_batched(self, task: ReadyTask) -> None:
        """An attempt waits to be run together with others."""
        self._add_waiting(task, TaskEventKind.WAITING_FOR_BATCH, "")

    def _add_waiting(self, task: ReadyTask, kind: TaskEventKind, message: str) -> None:
        now = datetime.now(UTC).timestamp()
        self._waiting.append(WaitingNote(new_id(), task.id, task.retry_count, kind, now, message))

    def add_refused(self, refused: Sequence[Refused]) -> None:
        """These attempts wait for units of rate limits."""
        now, kind = datetime.now(UTC).timestamp(), TaskEventKind.REQUEUED_RATE_LIMIT
        self._refused += [
            WaitingNote(new_id(), task.id, task.retry_count, kind, now, str(refusal))
            for task, refusal in refused
        ]

    def take_sent(self) -> list[SentNote]:
        """Hand over what is to be written beside something else."""
        taken, self._sent = self._sent[:_NOTES_AT_ONCE], self._sent[_NOTES_AT_ONCE:]
        return taken

    def put_back(self, sent: list[SentNote]) -> None:
        self._sent = sent + self._sent

    async def tick(self) -> bool:
        if sent := self.take_sent():
            try:
                await self._write(sent, task_events.insert_sent)
            except BaseException:
                self.put_back(sent)
                raise
        if notes := self._waiting[:_NOTES_AT_ONCE]:
            await self._write(notes, task_events.insert_waiting)
            del self._waiting[: len(notes)]
        if notes := self._refused[:_NOTES_AT_ONCE]:
            await self._write(notes, task_events.insert_refused)
            del self._refused[: len(notes)]
        return bool(self._sent or self._waiting or self._refused)

    async def _write(
        self, notes: Sequence[Note], insert: Callable[[Sequence[Note]], Query[None]]
    ) -> None:
        """Write notes; one that cannot be written is lost, the others are not."""

        async def write(part: Sequence[Note]) -> None:
            await self._database.fetch(insert(part))

        async def lose(note: Note, error: Exception) -> None:
            log.error("%r cannot be written", note, exc_info=error)

        await isolate("event notes", notes, write, lose)
