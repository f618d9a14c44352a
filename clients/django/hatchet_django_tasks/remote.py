"""The way over the network, for Hatchet on another database: with the official SDK, once Django has committed."""

from __future__ import annotations

import os
import time
import warnings
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import transaction

from hatchet_django_tasks.wishes import Attempt, Found, Wish

RESULT_KEY = "django_result"
"""The run's id is Hatchet's to make: what `enqueue` returned before stands in the run's metadata."""
_CLOCKS_DIFFER = timedelta(minutes=5)


class RemoteTransport:
    """What is asked for within a transaction is sent when it has committed; a crash in between loses it."""

    def __init__(self, database: str) -> None:
        self._database = database

    @cached_property
    def hatchet(self) -> Any:
        from hatchet_sdk import Hatchet

        return Hatchet()

    def enqueue(self, wish: Wish) -> str:
        result_id = _new_id()
        metadata = {**wish.metadata, RESULT_KEY: result_id}
        transaction.on_commit(lambda: self._send(wish, metadata), using=self._database)
        return result_id

    def _send(self, wish: Wish, metadata: dict[str, str]) -> None:
        if wish.run_after is not None and wish.run_after > datetime.now(UTC):
            self.hatchet.scheduled.create(wish.workflow, wish.run_after, wish.input, metadata)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would rather have its enum of priorities
            self.hatchet.runs.create(wish.workflow, wish.input, metadata, priority=wish.priority)

    def find(self, result_id: str) -> Found | None:
        try:
            made_at = _time_of(UUID(result_id))
        except ValueError:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would rather not look further back than a week
            listed = self.hatchet.runs.list(
                since=made_at - _CLOCKS_DIFFER,
                additional_metadata={RESULT_KEY: result_id},
                limit=1,
                include_payloads=False,
            )
        return _found(self.hatchet.runs.get(listed.rows[0].metadata.id)) if listed.rows else None


def _found(details: Any) -> Found:
    run = details.run
    given = run.input or {}
    return Found(
        status=run.status.value,
        metadata=dict(run.additional_metadata or {}),
        input=given.get("input", given),
        output=run.output,
        enqueued_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        attempts=_attempts(details),
    )


def _attempts(details: Any) -> list[Attempt]:
    events = sorted(details.task_events, key=lambda event: event.timestamp)
    attempts: list[Attempt] = []
    for event in events:
        word = event.event_type.value
        if word == "STARTED":
            worker = str(event.worker_id) if event.worker_id else None
            attempts.append(Attempt(event.timestamp, worker, None))
        elif word in ("FAILED", "TIMED_OUT") and attempts:
            attempts[-1].error = event.error_message or event.message or word
    return attempts


def _new_id() -> str:
    """A UUIDv7, so that the id says from when on the run is to be looked for."""
    made = bytearray(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(10))
    made[6], made[8] = made[6] & 0x0F | 0x70, made[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(made)))


def _time_of(uuid7: UUID) -> datetime:
    """ValueError: it is no UUIDv7."""
    if uuid7.version != 7:
        raise ValueError(uuid7)
    return datetime.fromtimestamp((uuid7.int >> 80) / 1000, UTC)
