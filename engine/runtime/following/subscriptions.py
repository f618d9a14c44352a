"""Clients that wait for runs to finish."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from engine.domain.payload import reason_of
from engine.runtime.outbox import Outbox
from engine.states import Status
from engine.store import runs
from engine.store.query import Operation, fetch
from engine.store.runs import ResultRow
from engine.types import RunFinished, TaskResult

_FRAME_BYTES = 200


class RunWaiter:
    """One stream that waits for any number of runs, each answered once per request."""

    def __init__(self, tenant_id: UUID, subscriptions: RunSubscriptions) -> None:
        self.tenant_id = tenant_id
        self._subscriptions = subscriptions
        self.unread: Outbox[RunFinished] = Outbox(_size_of, on_room=self._ask_again)
        self._postponed: dict[UUID, None] = {}

    def add(self, run_id: UUID) -> None:
        self._subscriptions.add(self, run_id)

    @property
    def has_room(self) -> bool:
        return self.unread.has_room()

    def deliver(self, finished: RunFinished) -> None:
        if not self.unread.put(finished):
            self.postpone(finished.run_id)

    def postpone(self, run_id: UUID) -> None:
        """Look the run up again when the client has taken what waits for it."""
        self._postponed[run_id] = None

    def _ask_again(self) -> None:
        postponed, self._postponed = self._postponed, {}
        for run_id in postponed:
            self.add(run_id)

    def __aiter__(self) -> AsyncIterator[RunFinished]:
        return aiter(self.unread)

    def close(self) -> None:
        self._subscriptions.remove(self)


class RunSubscriptions:
    """Who waits for which run. `on_new` is told that there are runs nobody has looked up yet."""

    def __init__(self, on_new: Callable[[], None]) -> None:
        self._waiting: dict[tuple[UUID, UUID], set[RunWaiter]] = defaultdict(set)
        self._new: dict[tuple[UUID, UUID], None] = {}
        self._on_new = on_new

    def open(self, tenant_id: UUID) -> RunWaiter:
        return RunWaiter(tenant_id, self)

    def add(self, waiter: RunWaiter, run_id: UUID) -> None:
        key = (waiter.tenant_id, run_id)
        self._waiting[key].add(waiter)
        self._new[key] = None
        self._on_new()

    def remove(self, waiter: RunWaiter) -> None:
        for key in [key for key, waiters in self._waiting.items() if waiter in waiters]:
            self._waiting[key].discard(waiter)
            if not self._waiting[key]:
                del self._waiting[key]

    @property
    def has_any(self) -> bool:
        return bool(self._waiting)

    def awaits(self, tenant_id: UUID, run_id: UUID) -> bool:
        return (tenant_id, run_id) in self._waiting

    def postpone_where_full(self, tenant_id: UUID, run_ids: Iterable[UUID]) -> list[UUID]:
        """Return the runs of these that somebody awaits who has room for results.

        Others need not be read: those who have none ask for them again.
        """
        wanted = []
        for run_id in run_ids:
            waiters = self._waiting.get((tenant_id, run_id), set())
            for waiter in [each for each in waiters if not each.has_room]:
                waiter.postpone(run_id)
                waiters.discard(waiter)
            if waiters:
                wanted.append(run_id)
            else:
                self._waiting.pop((tenant_id, run_id), None)
        return wanted

    def take_new(self) -> dict[UUID, list[UUID]]:
        """Return runs, by tenant, asked for since the last call: they may have finished before."""
        new, self._new = self._new, {}
        return _by_tenant(key for key in new if key in self._waiting)

    def pending(self) -> dict[UUID, list[UUID]]:
        """Return every awaited run by tenant."""
        return _by_tenant(self._waiting)

    def deliver(self, tenant_id: UUID, finished: RunFinished) -> None:
        for waiter in self._waiting.pop((tenant_id, finished.run_id), ()):
            waiter.deliver(finished)


def _size_of(finished: RunFinished) -> int:
    return sum(
        _FRAME_BYTES + len(result.output or b"") + len(result.error or "")
        for result in finished.results
    )


def _by_tenant(keys: Iterable[tuple[UUID, UUID]]) -> dict[UUID, list[UUID]]:
    runs_of: dict[UUID, list[UUID]] = defaultdict(list)
    for tenant_id, run_id in keys:
        runs_of[tenant_id].append(run_id)
    return runs_of


def load_finished(tenant_id: UUID, run_ids: Sequence[UUID]) -> Operation[list[RunFinished]]:
    """Return those of these runs that have finished, with the outcome of every task."""
    rows = yield from fetch(runs.results(tenant_id, run_ids, finished_only=True))
    finished = []
    for run_id, of_run in groupby(rows, key=lambda row: row.run_id):
        listed = list(of_run)
        ended_at = listed[0].finished_at
        if ended_at:
            finished.append(RunFinished(run_id, ended_at, tuple(map(_result, listed))))
    return finished


def _result(row: ResultRow) -> TaskResult:
    if (reason := reason_of(row.output)) is not None:
        return TaskResult(row.task_id, row.readable_id, Status.FAILED, None, reason)
    return task_result(
        row.task_id, row.readable_id, Status(row.status), output=row.output, error=row.error
    )


def task_result(
    task_id: UUID, readable_id: str, status: Status, *, output: bytes | None, error: bytes | None
) -> TaskResult:
    """Return a task's outcome as subscribers see it: a cancelled task has the error ""."""
    text = None
    if status is Status.FAILED:
        text = (error or b"").decode(errors="replace")
    elif status is Status.CANCELLED:
        text = ""
    return TaskResult(task_id, readable_id, status, output or None, text)


def standalone_finished(
    run_id: UUID, readable_id: str, status: Status, payload: bytes, ended_at: datetime
) -> RunFinished:
    """Return the end of a standalone run straight from its attempt's."""
    result = task_result(
        run_id,
        readable_id,
        status,
        output=payload if status is Status.COMPLETED else None,
        error=payload if status is Status.FAILED else None,
    )
    return RunFinished(run_id, ended_at, (result,))
