"""What processes tell each other with NOTIFY. Rows are the truth; a lost hint costs latency only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from engine.store.changes import Changes
from engine.store.hint_kinds import KINDS, Cares, Chunk, Kind
from engine.store.query import Query, no_row
from tenants import live

ENGINE_CHANNEL = "hatchet_engine"
LIVE_CHANNEL = live.CHANNEL

MAX_NAMED_TASKS = 600


@dataclass(slots=True)
class Hint:
    """Something engines should look at, in one tenant. `sender` is the engine that says so, if one does.

    Each other field is one of `KINDS`.
    """

    tenant_id: UUID
    sender: UUID | None = None
    ready: list[UUID] = field(default_factory=list)
    """Tasks that entered the queue, or rest before they ask their groups again."""
    ended: list[tuple[UUID, int]] = field(default_factory=list)
    """(task, retry count) that no longer run, nor wait in the queue."""
    released: list[tuple[UUID, int]] = field(default_factory=list)
    """(task, retry count) that gave their workers' slots back."""
    left: list[tuple[UUID, UUID]] = field(default_factory=list)
    """(run, arrival) that no longer hold slots of concurrency groups."""
    stops: list[tuple[UUID, UUID, int]] = field(default_factory=list)
    """(worker, task, retry count) to be told to stop."""
    assigned: list[UUID] = field(default_factory=list)
    """Workers with new assignments."""
    finished: list[UUID] = field(default_factory=list)
    """Runs that ended."""
    workers: list[UUID] = field(default_factory=list)
    """Workers whose row changed."""
    beats: list[UUID] = field(default_factory=list)
    """Workers that sent a heartbeat."""
    durable: list[UUID] = field(default_factory=list)
    """Durable tasks with entries that were completed."""
    limits: list[str] = field(default_factory=list)
    """Keys of rate limits that were set, paused or deleted."""
    chunks: list[Chunk] = field(default_factory=list)
    """Streamed text, in pieces. Unlike all else it is not in any row."""
    catalog: bool = False
    """Workflows were registered or deleted."""
    rules: bool = False
    """Workflows were paused or resumed, or shared concurrency strategies changed."""
    timetable: bool = False
    """Crons or schedules were set."""
    outbox: bool = False
    """Other programs committed rows of the outbox."""
    children: bool = False
    """Children of durable tasks ended."""
    sleeps: bool = False
    """Steps began to sleep."""
    backlog: bool = False
    """More became ready than is named."""

    def messages(self) -> Iterator[bytes]:
        """Yield JSON messages that each fit one NOTIFY."""
        head: dict[str, Any] = {"tenant": self.tenant_id}
        if self.sender:
            head["engine"] = self.sender
        flags = {kind.name: True for kind in KINDS if kind.is_flag and getattr(self, kind.name)}
        if flags:
            yield orjson.dumps(head | flags)
        for kind in KINDS:
            if kind.is_flag:
                continue
            values = [kind.encode(item) for item in getattr(self, kind.name)]
            for start in range(0, len(values), kind.at_once):
                yield orjson.dumps(head | {kind.name: values[start : start + kind.at_once]})

    def leave_out(self, cares: Cares) -> None:
        """Leave out what this audience need not be told."""
        for kind in KINDS:
            if kind.cares is cares:
                setattr(self, kind.name, False if kind.is_flag else [])


def hello(sender: UUID) -> bytes:
    """Return the message of an engine that listens from now on: it is about no tenant."""
    return orjson.dumps({"tenant": UUID(int=0), "engine": sender})


def parse(payload: str) -> Hint:
    """Return the hint of one message. Raises ValueError, KeyError or TypeError if it is none."""
    message = orjson.loads(payload)
    sender = UUID(message["engine"]) if "engine" in message else None
    hint = Hint(UUID(message["tenant"]), sender)
    for kind in KINDS:
        if kind.name in message:
            said = message[kind.name]
            value = bool(said) if kind.is_flag else [kind.decode(item) for item in said]
            setattr(hint, kind.name, value)
    return hint


class _Hints(dict[UUID, Hint]):
    """One hint a tenant, made when it is asked for."""

    def __missing__(self, tenant_id: UUID) -> Hint:
        hint = self[tenant_id] = Hint(tenant_id)
        return hint


def hints_of(changes: Changes, kinds: Iterable[Kind] = KINDS) -> list[Hint]:
    """Return what engines should know of these changes, one hint a tenant."""
    hints = _Hints()
    for kind in kinds:
        of_tenant: dict[UUID, list[Any]] = {}
        for tenant_id, item in kind.said(changes):
            items = of_tenant.get(tenant_id)
            if items is None:
                items = of_tenant[tenant_id] = []
            items.append(item)
        for tenant_id, items in of_tenant.items():
            setattr(hints[tenant_id], kind.name, True if kind.is_flag else items)
    for found in hints.values():
        if len(found.ready) > MAX_NAMED_TASKS:
            found.ready, found.backlog = [], True
    return list(hints.values())


MAX_LIVE_RUNS = 50


def live_message(tenant_id: UUID, runs: Sequence[UUID], topics: Sequence[str]) -> str:
    """Return what open dashboards are told: which topics changed, and which runs if they are few."""
    message: dict[str, Any] = {"t": str(tenant_id), "topics": list(topics)}
    if len(runs) <= MAX_LIVE_RUNS:
        message["runs"] = [str(run) for run in runs]
    return orjson.dumps(message).decode()


def messages_of(changes: Changes) -> list[tuple[str, str]]:
    """Return (channel, payload) of all that others are to know of these changes."""
    messages = [
        (ENGINE_CHANNEL, message.decode())
        for hint in hints_of(changes)
        for message in hint.messages()
    ]
    runs: dict[UUID, list[UUID]] = defaultdict(list)
    topics: dict[UUID, set[str]] = defaultdict(set)
    for tenant_id, run_id in sorted(changes.touched):
        runs[tenant_id].append(run_id)
        topics[tenant_id].add("runs")
    for tenant_id, topic in changes.pages:
        topics[tenant_id].add(topic)
    messages += [
        (LIVE_CHANNEL, live_message(tenant_id, runs[tenant_id], sorted(listed)))
        for tenant_id, listed in topics.items()
    ]
    return messages


def notify(messages: Sequence[tuple[str, str]]) -> Query[None]:
    """`messages` are (channel, payload)."""
    return Query(
        "hint.notify",
        {"channels": [m[0] for m in messages], "payloads": [m[1] for m in messages]},
        no_row,
    )
