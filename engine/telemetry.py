"""Says what happens in a process, once; logs, metrics and the tests' waiting are handlers of it.

`EVENTS` is the whole list. What happens a thousand times a second is one event a batch. An event without
a handler costs a look-up.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from types import MappingProxyType, TracebackType, UnionType
from typing import Any, NamedTuple, Self
from uuid import UUID

log = logging.getLogger("hatchet.telemetry")

Measurements = Mapping[str, float]
Metadata = Mapping[str, Any]
Handler = Callable[[str, Measurements, Metadata], None]
"""Called where the event happens, with its name, measurements and metadata: it must be quick."""

Closer = Callable[[Measurements, Metadata], None]
"""Called at the end of a span with all that is said of it."""
Opener = Callable[[str, Metadata], Closer]
"""Called at the beginning of a span, with its name and what is known of it by then."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_TENANT = {"tenant_id": UUID}
_RUNS = _TENANT | {"run_ids": list}
_TASKS = _TENANT | {"task_ids": list}
_LEASE = _TENANT | {"engine_id": UUID, "epoch": int}
_WORKER = _TENANT | {"worker_id": UUID}


class Event(NamedTuple):
    """What an event has to say: its measurements are numbers, its metadata are of these types."""

    about: str
    measurements: tuple[str, ...]
    metadata: Mapping[str, type | UnionType]


EVENTS: Mapping[str, Event] = {
    # Runs and attempts, one event a tenant and batch
    "runs.triggered": Event("Runs were started, by whatever means.", ("count",), _RUNS),
    "runs.finished": Event("Runs came to their ends.", ("count",), _RUNS),
    "tasks.assigned": Event("Attempts were given to workers.", ("count",), _TASKS),
    "tasks.started": Event("Workers said that they began.", ("count",), _TASKS),
    "tasks.completed": Event("Attempts were completed.", ("count",), _TASKS),
    "tasks.failed": Event("Attempts failed, whatever follows.", ("count",), _TASKS),
    "tasks.timed_out": Event(
        "Attempts exceeded their execution timeout, or tasks their schedule timeout; they are not"
        " among those that failed or were cancelled.",
        ("count",),
        _TASKS,
    ),
    "tasks.cancelled": Event("Tasks were cancelled.", ("count",), _TASKS),
    "tasks.retried": Event(
        "Attempts that failed or timed out have a further one of the task's retries.",
        ("count",),
        _TASKS,
    ),
    "tasks.requeued": Event(
        "Attempts whose workers were lost or never took them have a further one, which costs no retry.",
        ("count",),
        _TASKS,
    ),
    # Groups of failures
    "errors.new": Event(
        "Attempts failed in a way that none has before.", ("count",), _TENANT | {"group_ids": list}
    ),
    "errors.reopened": Event(
        "Attempts failed in a way that somebody had resolved.",
        ("count",),
        _TENANT | {"group_ids": list},
    ),
    # Leases and schedulers
    "lease.taken": Event("This engine schedules the tenant now.", (), _LEASE),
    "lease.lost": Event("The tenant's lease has run out, or another engine has it.", (), _LEASE),
    "lease.given_up": Event("This engine left the tenant to another one.", (), _LEASE),
    "scheduler.rebuilt": Event(
        "A tenant's scheduler was read from the rows and hands out tasks.",
        ("seconds", "workers", "running", "waiting"),
        _TENANT | {"epoch": int},
    ),
    "scheduler.decided": Event(
        "A tenant's scheduler went through its queues so often, and decided so much, since the last such event.",
        ("turns", "assigned", "cancelled"),
        _TENANT,
    ),
    "figures.counted": Event(
        "What the event log said was added to the totals, by key (`store/figures.py`).",
        ("behind_seconds",),
        {"totals": dict},
    ),
    # The database
    "database.operation": Event(
        "An operation was driven in a transaction of its own. The seconds include the wait for a"
        " connection; the commit is no round trip of its own here. The outcome is `committed`,"
        " `rolled back`, `outage`, or `cancelled` by its caller, who may have been too late. The"
        " error is the name of its class, or nothing.",
        ("seconds", "round_trips", "statements"),
        {"operation": str, "outcome": str, "error": str},
    ),
    "database.unreachable": Event(
        "Something could not be done for want of the database and will be tried again.",
        (),
        {"postponed": str, "error": BaseException},
    ),
    "outage.began": Event(
        "A part of the engine does not reach the database.",
        (),
        {"what": str, "error": BaseException},
    ),
    "outage.ended": Event("It reaches the database again.", ("seconds",), {"what": str}),
    "race.lost": Event(
        "Another transaction was first; this one is tried again.", (), {"what": str}
    ),
    "payloads.away": Event(
        "The object store could not be reached: what needs it has to wait.",
        (),
        {"error": BaseException},
    ),
    # Loops and batchers
    "loop.tick": Event(
        "A timed loop had its turn. The outcome is `done`, or the name of an error's class.",
        ("seconds",),
        {"loop": str, "outcome": str},
    ),
    "batcher.flushed": Event(
        "A batcher wrote a batch; so many rows wait for the next.",
        ("rows", "seconds", "waiting"),
        {"batcher": str},
    ),
    # What is old
    "retention.dropped": Event(
        "The partitions of a day were dropped: nobody needed anything in them any more.",
        (),
        {"kind": str, "tables": str, "day": str},
    ),
    "retention.removed": Event(
        "Rows that were old enough were removed one by one.", ("rows",), {"kind": str}
    ),
    # Limits of tenants, where they are enforced
    "limit.alarmed": Event(
        "A tenant comes near a limit: its alarm is reached.",
        ("value", "limit"),
        _TENANT | {"resource": str},
    ),
    "limit.reached": Event(
        "A tenant has as much of something as it may have.",
        ("value", "limit"),
        _TENANT | {"resource": str},
    ),
    # Workers
    "worker.registered": Event("A worker registered.", (), _WORKER),
    "worker.listening": Event("A worker opened its action stream.", (), _WORKER),
    "worker.left": Event("A worker's action stream ended.", (), _WORKER),
    "worker.stalled": Event(
        "A connected worker does not acknowledge what it is sent; it gets nothing more.",
        (),
        _WORKER,
    ),
    "worker.lost": Event(
        "A worker with tasks sent no heartbeat for too long: others get its tasks.", (), _WORKER
    ),
    # Crons and schedules
    "cron.fired": Event(
        "A cron fired for a nominal time.", ("late_seconds",), _TENANT | {"cron_id": UUID}
    ),
    "cron.missed": Event(
        "A cron did not fire for so many of its times.", ("times",), {"cron_id": UUID, "cause": str}
    ),
    "schedule.fired": Event(
        "A scheduled run was started.", ("late_seconds",), _TENANT | {"schedule_id": UUID}
    ),
    # What other programs ask for in their own transactions
    "outbox.refused": Event(
        "A row of the outbox cannot be carried out; it stays, with the cause.",
        (),
        _TENANT | {"row_id": UUID, "cause": str},
    ),
    # Hints between processes
    "hint.sent": Event(
        "Hints were sent to other engines (`hints`) and to open dashboards (`live`).",
        ("hints", "live"),
        {},
    ),
    "hint.received": Event(
        "Another process sent a hint.", (), _TENANT | {"sender_id": UUID | None}
    ),
    "listener.connected": Event("This engine listens for hints.", (), {"engine_id": UUID}),
    "listener.lost": Event(
        "This engine gets no hints until it listens again.",
        (),
        {"engine_id": UUID, "error": BaseException},
    ),
    # Clients
    "spans.received": Event(
        "A client sent spans: so many are stored, were refused, or belong to traces that are not sampled.",
        ("stored", "refused", "sampled_out"),
        _TENANT,
    ),
    "grpc.answered": Event(
        "A unary call was answered, or refused with a code other than OK. `traceparent` is what its caller"
        " said of its own trace. Emitted only for what listens when the server starts.",
        ("seconds",),
        {"method": str, "code": str, "traceparent": str, "outcome": str},
    ),
    "http.answered": Event(
        "A request over HTTP was answered. The route is the pattern of its path. Emitted only where"
        " spans are sent.",
        ("seconds",),
        {"method": str, "route": str, "status": int, "traceparent": str, "outcome": str},
    ),
    "grpc.refused": Event(
        "A call ended with a status other than OK.",
        (),
        {"method": str, "code": str, "message": str},
    ),
    "rest.failed": Event(
        "A request to the engine's API was answered with 5xx.",
        (),
        {"status": int, "error": BaseException},
    ),
}

_lock = threading.Lock()
_handlers: Mapping[str, tuple[Handler, ...]] = {}
"""By event. Replaced as a whole, so that emitting takes no lock."""


def attach(handler: Handler, *names: str) -> None:
    """Call `handler` for events of these names, or for all of them. ValueError: there is none such."""
    if unknown := set(names) - EVENTS.keys():
        raise ValueError(f"no such events: {', '.join(sorted(unknown))}")
    with _lock:
        _replace({name: (*_handlers.get(name, ()), handler) for name in names or EVENTS})


def detach(handler: Handler) -> None:
    """Call `handler` for nothing any more."""
    with _lock:
        _replace(
            {
                name: tuple(kept for kept in handlers if kept != handler)
                for name, handlers in _handlers.items()
            }
        )


def _replace(changed: Mapping[str, tuple[Handler, ...]]) -> None:
    global _handlers
    _handlers = {name: handlers for name, handlers in {**_handlers, **changed}.items() if handlers}


@contextmanager
def attached(handler: Handler, *names: str) -> Iterator[None]:
    """Attach a handler for as long as the block lasts."""
    attach(handler, *names)
    try:
        yield
    finally:
        detach(handler)


_openers: Mapping[str, Opener] = {}
"""By span."""


@contextmanager
def traced(opener: Opener, *names: str) -> Iterator[None]:
    """Have `opener` called at the beginning of spans of these names for as long as the block lasts."""
    global _openers
    _openers = dict.fromkeys(names, opener)
    try:
        yield
    finally:
        _openers = {}


def is_heard(name: str, *others: str) -> bool:
    """Whether one of these events has a handler: if not, nothing needs to be gathered for them."""
    if name in _handlers or name in _openers:
        return True
    return bool(others) and not _handlers.keys().isdisjoint(others)


def emit(name: str, measurements: Measurements = _NOTHING, metadata: Metadata = _NOTHING) -> None:
    """Call the handlers of an event. One that raises is logged and keeps nothing from the others."""
    if name not in _handlers:
        return
    for handler in _handlers.get(name, ()):
        try:
            handler(name, measurements, metadata)
        except Exception:
            log.exception("a handler of %s failed", name)


def emit_ids(name: str, field: str, ids: Iterable[tuple[UUID, UUID]]) -> None:
    """Emit an event for each tenant among these (tenant, id): how many there are, and under `field` which."""
    if name not in _handlers:
        return
    by_tenant: dict[UUID, list[UUID]] = defaultdict(list)
    for tenant_id, item_id in ids:
        by_tenant[tenant_id].append(item_id)
    for tenant_id, listed in by_tenant.items():
        emit(name, {"count": len(listed)}, {"tenant_id": tenant_id, field: listed})


class Span:
    """Emits its event when the block ends, with its seconds, its outcome and what the block adds.

    The outcome is `done`, or the name of the error's class, unless the block sets a better one.
    """

    __slots__ = ("_began", "_close", "_name", "measurements", "metadata")

    def __init__(self, name: str, metadata: Metadata) -> None:
        self._name = name
        self.measurements: dict[str, float] = {}
        self.metadata = dict(metadata)

    def __enter__(self) -> Self:
        opener = _openers.get(self._name)
        self._close = None if opener is None else opener(self._name, self.metadata)
        self._began = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._close is None and self._name not in _handlers:
            return
        self.metadata.setdefault("outcome", kind.__name__ if kind else "done")
        self.measurements["seconds"] = perf_counter() - self._began
        if self._close is not None:
            self._close(self.measurements, self.metadata)
        emit(self._name, self.measurements, self.metadata)


def span(name: str, metadata: Metadata = _NOTHING) -> Span:
    """Return a context manager that emits the event when its block ends, however that is."""
    return Span(name, metadata)
