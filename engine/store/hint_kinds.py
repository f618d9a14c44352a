"""The kinds of hint: what each is called, who acts on it, how it is written, which changes it is made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from engine.store.changes import Changes

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

    def pieces(self) -> list[Chunk]:
        """Return the chunk in pieces that each fit a message."""
        starts = range(0, len(self.text) or 1, _CHUNK_CHARACTERS)
        texts = [self.text[start : start + _CHUNK_CHARACTERS] for start in starts]
        last = len(texts) - 1
        return [self._replace(text=t, is_whole=number == last) for number, t in enumerate(texts)]


class Cares(Enum):
    """Who acts on a kind of hint."""

    OWNER = "the engine that schedules the tenant"
    HOLDER = "the engine that holds a worker's stream"
    FOLLOWERS = "engines whose clients wait for a run or follow it"
    ANY = "any one engine; the one that changed it acts on it itself"
    EVERY = "every engine"


Said = Iterable[tuple[UUID, Any]]
"""What changes say of a kind: (tenant, item); of a flag any item."""


def _nothing(_: Changes) -> Said:
    """Of a kind that no operation changes: the engine hints it as it happens."""
    return ()


def _same(item: Any) -> Any:
    return item


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of hint. `name` is its word on the wire, and its field in Hint.

    `sources` are the kinds of change it is made of, by `said`. `is_read` says that whoever acts on it reads
    rows, and so does the engine that made the change. `encode` is for what JSON does not write by itself.
    """

    name: str
    cares: Cares
    encode: Callable[[Any], Any] = _same
    decode: Callable[[Any], Any] = _same
    is_flag: bool = False
    is_read: bool = False
    at_once: int = _IDS_PER_MESSAGE
    sources: tuple[str, ...] = ()
    said: Callable[[Changes], Said] = _nothing


def _attempt(item: Sequence[Any]) -> tuple[UUID, int]:
    task_id, retry_count = item
    return UUID(task_id), retry_count


def _left(item: Sequence[str]) -> tuple[UUID, UUID]:
    run_id, arrival = item
    return UUID(run_id), UUID(arrival)


def _stop(item: Sequence[Any]) -> tuple[UUID, UUID, int]:
    worker_id, task_id, retry_count = item
    return UUID(worker_id), UUID(task_id), retry_count


def _of_chunk(chunk: Chunk) -> list[Any]:
    return [*chunk, next(_serials)]


def _chunk(item: Sequence[Any]) -> Chunk:
    run_id, task_id, retry_count, position, text, is_whole, _ = item
    return Chunk(UUID(run_id), UUID(task_id), retry_count, position, text, is_whole)


def _ready(changes: Changes) -> Said:
    return [(tenant, task.id) for tenant, task in (*changes.ready, *changes.resting)]


def _ended(changes: Changes) -> Said:
    for end in changes.ended:
        yield end.tenant_id, (end.task_id, end.retry_count)
    for tenant_id, task_id, retry_count in changes.withdrawn:
        yield tenant_id, (task_id, retry_count)


def _stops(changes: Changes) -> Said:
    for end in changes.ended:
        if end.stop_on:
            yield end.tenant_id, (end.stop_on, end.task_id, end.retry_count)


def _assigned(changes: Changes) -> Said:
    return dict.fromkeys((action.tenant_id, worker_id) for worker_id, action in changes.assigned)


def _completed(changes: Changes) -> Said:
    return dict.fromkeys((tenant, completion.task_id) for tenant, completion in changes.completions)


def _flag(tenants: Iterable[UUID]) -> Said:
    return [(tenant_id, True) for tenant_id in tenants]


KINDS = (
    Kind(
        name="ready",
        cares=Cares.OWNER,
        decode=UUID,
        sources=("ready", "resting"),
        said=_ready,
    ),
    Kind(
        name="ended",
        cares=Cares.OWNER,
        decode=_attempt,
        sources=("ended", "withdrawn"),
        said=_ended,
    ),
    Kind(
        name="released",
        cares=Cares.OWNER,
        decode=_attempt,
        sources=("evicted",),
        said=lambda changes: [(tenant, (task, retry)) for tenant, task, retry in changes.evicted],
    ),
    Kind(
        name="left",
        cares=Cares.OWNER,
        decode=_left,
        sources=("left",),
        said=lambda changes: [(left.tenant_id, left[1:]) for left in changes.left],
    ),
    Kind(
        name="stops",
        cares=Cares.HOLDER,
        decode=_stop,
        sources=("ended",),
        said=_stops,
    ),
    Kind(
        name="assigned",
        cares=Cares.HOLDER,
        decode=UUID,
        sources=("assigned",),
        said=_assigned,
    ),
    Kind(
        name="finished",
        cares=Cares.FOLLOWERS,
        decode=UUID,
        sources=("finished",),
        said=lambda changes: [(run.tenant_id, run.run_id) for run in changes.finished],
    ),
    Kind(
        name="workers",
        cares=Cares.OWNER,
        decode=UUID,
        is_read=True,
        sources=("workers",),
        said=lambda changes: changes.workers,
    ),
    Kind(name="beats", cares=Cares.OWNER, decode=UUID),
    Kind(
        name="durable",
        cares=Cares.HOLDER,
        decode=UUID,
        sources=("completions",),
        said=_completed,
    ),
    Kind(
        name="limits",
        cares=Cares.OWNER,
        is_read=True,
        at_once=1,
        sources=("limits",),
        said=lambda changes: changes.limits,
    ),
    Kind(name="chunks", cares=Cares.FOLLOWERS, encode=_of_chunk, decode=_chunk, at_once=1),
    Kind(
        name="catalog",
        cares=Cares.EVERY,
        is_flag=True,
        is_read=True,
        sources=("catalogs",),
        said=lambda changes: _flag(changes.catalogs),
    ),
    Kind(
        name="rules",
        cares=Cares.OWNER,
        is_flag=True,
        is_read=True,
        sources=("rules",),
        said=lambda changes: _flag(changes.rules),
    ),
    Kind(
        name="timetable",
        cares=Cares.EVERY,
        is_flag=True,
        is_read=True,
        sources=("timetables",),
        said=lambda changes: _flag(changes.timetables),
    ),
    # Transactions of other programs send it by themselves: hatchet_v1.hint().
    Kind(
        name="outbox",
        cares=Cares.OWNER,
        is_flag=True,
        is_read=True,
        sources=("outboxes",),
        said=lambda changes: _flag(changes.outboxes),
    ),
    Kind(
        name="children",
        cares=Cares.ANY,
        is_flag=True,
        sources=("finished",),
        said=lambda changes: _flag(run.tenant_id for run in changes.finished if run.wakes_parent),
    ),
    Kind(
        name="sleeps",
        cares=Cares.OWNER,
        is_flag=True,
        sources=("sleeps_of",),
        said=lambda changes: _flag(changes.sleeps_of),
    ),
    Kind(
        name="backlog",
        cares=Cares.OWNER,
        is_flag=True,
        is_read=True,
        sources=("backlogs",),
        said=lambda changes: _flag(changes.backlogs),
    ),
)
READ_KINDS = tuple(kind for kind in KINDS if kind.is_read)
read_sources = attrgetter(*(source for kind in READ_KINDS for source in kind.sources))
"""Returns of changes what is to be read from rows: nearly always each is empty."""
PAGE_KINDS = ("touched", "pages")
"""Kinds of change that open dashboards are told of."""
LOCAL_KINDS = ("acknowledged", "created", "wakes_clock")
"""Kinds of change that mean something to the engine that made them only: the others find them in rows."""
TELEMETRY_KINDS = ("started", "triggered", "crons_fired", "crons_missed", "schedules_fired")
"""Kinds of change that become events of the engine that made them, and nothing else."""
