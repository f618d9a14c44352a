"""What processes tell each other with NOTIFY. Rows are the truth; a lost hint costs latency only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from engine.store.query import Query, no_row

ENGINE_CHANNEL = "hatchet_engine"
LIVE_CHANNEL = "hatchet_live"

_IDS_PER_MESSAGE = 60
"""Keeps a message under Postgres' 8,000 bytes whatever it holds."""


_CHUNK_CHARACTERS = 1_200
"""Streamed text goes in pieces: in JSON a character may take up to four bytes, or six escaped."""


_serials = itertools.count()
"""Postgres drops a notification that equals another of its transaction; no two pieces may be equal."""


class Chunk(NamedTuple):
    """Text a task streamed, on its way to followers at another engine."""

    run_id: UUID
    task_id: UUID
    retry_count: int
    position: int | None
    text: str
    is_whole: bool = True
    """False for a piece that others of the same chunk follow."""


@dataclass(slots=True)
class Hint:
    """Something engines should look at, in one tenant. `sender` is the engine that says so, if one does."""

    tenant_id: UUID
    sender: UUID | None = None
    ready: list[UUID] = field(default_factory=list)
    """Tasks that entered the queue, or rest before they ask their groups again: for the owner."""
    ended: list[tuple[UUID, int]] = field(default_factory=list)
    """(task, retry count) that no longer run: for the owner."""
    released: list[tuple[UUID, int]] = field(default_factory=list)
    """(task, retry count) that gave their workers' slots back: for the owner."""
    left: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(run, arrival) that no longer hold slots of concurrency groups: for the owner."""
    stops: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    """(worker, task, retry count) to be told to stop: for the holder of the worker's stream."""
    assigned: list[UUID] = field(default_factory=list)
    """Workers with new assignments: for the holder of their streams."""
    finished: list[UUID] = field(default_factory=list)
    """Runs that ended: for whoever has subscribers."""
    workers: list[UUID] = field(default_factory=list)
    """Workers whose row changed: for the owner."""
    beats: list[UUID] = field(default_factory=list)
    """Workers that sent a heartbeat: for the owner."""
    durable: list[UUID] = field(default_factory=list)
    """Durable tasks with entries that were completed: for the holders of their workers' streams."""
    limits: list[str] = field(default_factory=list)
    """Keys of rate limits that were set, paused or deleted: for the owner."""
    chunks: list[Chunk] = field(default_factory=list)
    """Streamed text: for whoever has followers. Unlike all else it is not in any row."""
    is_catalog: bool = False
    """Workflows were registered or deleted."""
    is_timetable: bool = False
    """Crons or schedules were set: for every engine."""
    is_children: bool = False
    """Children of durable tasks ended: for any engine."""
    is_backlog: bool = False
    """Too many tasks became ready to name them."""

    def messages(self) -> Iterator[bytes]:
        """Yield JSON messages that each fit one NOTIFY."""
        head: dict[str, Any] = {"t": self.tenant_id.hex}
        if self.sender:
            head["e"] = self.sender.hex
        flags = {
            "c": self.is_catalog,
            "b": self.is_backlog,
            "d": self.is_timetable,
            "k": self.is_children,
        }
        if any(flags.values()):
            yield orjson.dumps(head | flags)
        for key, values in (
            ("r", [task.hex for task in self.ready]),
            ("n", [[task.hex, count] for task, count in self.ended]),
            ("g", [[task.hex, count] for task, count in self.released]),
            ("u", [task.hex for task in self.durable]),
            ("l", [[run.hex, arrival.hex] for run, arrival in self.left]),
            ("s", [[worker.hex, task.hex, count] for worker, task, count in self.stops]),
            ("a", [worker.hex for worker in self.assigned]),
            ("f", [run.hex for run in self.finished]),
            ("w", [worker.hex for worker in self.workers]),
            ("h", [worker.hex for worker in self.beats]),
        ):
            for start in range(0, len(values), _IDS_PER_MESSAGE):
                yield orjson.dumps(head | {key: values[start : start + _IDS_PER_MESSAGE]})
        for limit in self.limits:
            yield orjson.dumps(head | {"m": limit})
        for chunk in self.chunks:
            for start in range(0, len(chunk.text) or 1, _CHUNK_CHARACTERS):
                piece = chunk.text[start : start + _CHUNK_CHARACTERS]
                is_last = start + _CHUNK_CHARACTERS >= len(chunk.text)
                address = [chunk.run_id.hex, chunk.task_id.hex, chunk.retry_count, chunk.position]
                yield orjson.dumps(head | {"x": [*address, piece, is_last], "i": next(_serials)})


def hello(sender: UUID) -> bytes:
    """Return the message of an engine that listens from now on: it is about no tenant."""
    return orjson.dumps({"t": UUID(int=0).hex, "e": sender.hex})


def parse(payload: str) -> Hint:
    """Return the hint of one message. Raises ValueError, KeyError or TypeError if it is none."""
    message = orjson.loads(payload)
    return Hint(
        tenant_id=UUID(message["t"]),
        sender=UUID(message["e"]) if "e" in message else None,
        ready=[UUID(task) for task in message.get("r", ())],
        ended=[(UUID(task), count) for task, count in message.get("n", ())],
        released=[(UUID(task), count) for task, count in message.get("g", ())],
        durable=[UUID(task) for task in message.get("u", ())],
        left=[(UUID(run), UUID(arrival)) for run, arrival in message.get("l", ())],
        stops=[(UUID(worker), UUID(task), count) for worker, task, count in message.get("s", ())],
        assigned=[UUID(worker) for worker in message.get("a", ())],
        finished=[UUID(run) for run in message.get("f", ())],
        workers=[UUID(worker) for worker in message.get("w", ())],
        beats=[UUID(worker) for worker in message.get("h", ())],
        limits=[str(message["m"])] if "m" in message else [],
        chunks=[_chunk(*message["x"])] if "x" in message else [],
        is_catalog=message.get("c", False),
        is_timetable=message.get("d", False),
        is_children=message.get("k", False),
        is_backlog=message.get("b", False),
    )


def _chunk(
    run: str, task: str, retry_count: int, index: int | None, text: str, is_whole: bool
) -> Chunk:
    return Chunk(UUID(run), UUID(task), retry_count, index, text, is_whole)


MAX_LIVE_RUNS = 50


def live_message(tenant_id: UUID, runs: Sequence[UUID], topics: Sequence[str]) -> str:
    """Return what open dashboards are told: which topics changed, and which runs if they are few."""
    message: dict[str, Any] = {"t": str(tenant_id), "topics": list(topics)}
    if len(runs) <= MAX_LIVE_RUNS:
        message["runs"] = [str(run) for run in runs]
    return orjson.dumps(message).decode()


def notify(messages: Sequence[tuple[str, str]]) -> Query[None]:
    """`messages` are (channel, payload)."""
    return Query(
        "hint.notify",
        {"channels": [m[0] for m in messages], "payloads": [m[1] for m in messages]},
        no_row,
    )
