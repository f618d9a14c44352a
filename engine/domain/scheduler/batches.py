"""Batches: which tasks wait to be run together, when they are flushed, and which batches run.

A buffer that is due sends its best item into its action's queue, as its caller. When the caller finds
a worker, the batch is made of what the buffer holds then: everybody goes with the caller's slots.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import Obstacle, ReadyTask, Reason, score_of
from engine.domain.batches import MAX_BATCH_BYTES, BatchGroup, BatchPlace
from engine.ids import time_of
from engine.states import FlushReason


class Flush(NamedTuple):
    """A batch that was made: its items in order, the caller first."""

    group: BatchGroup
    items: tuple[ReadyTask, ...]
    reason: FlushReason


class Calls(NamedTuple):
    """Callers that are to enter their queues, and earlier ones whose place others took."""

    entering: list[ReadyTask]
    leaving: list[ReadyTask]


class _Item(NamedTuple):
    task: ReadyTask
    since: float


class _Buffer:
    """The items of one group, and how many batches of it run."""

    __slots__ = ("caller", "group", "is_timed", "items", "line", "runs", "size")

    def __init__(self, group: BatchGroup) -> None:
        self.group = group
        self.items: dict[int, _Item] = {}
        """By task, in the order in which they came."""
        self.line: list[tuple[int, int]] = []
        """(negative score, task) in order, best first: those who come go to the end, nearly always."""
        self.size = 0
        self.caller: ReadyTask | None = None
        self.runs = 0
        self.is_timed = False
        """A timer will look at it."""

    @property
    def full_at(self) -> float:
        """When its first item will have waited for long enough."""
        return next(iter(self.items.values())).since + self.group.interval_seconds

    def reason(self, now: float) -> FlushReason | None:
        """Return why it is to be flushed now, if it is."""
        if len(self.line) >= self.group.max_size:
            return FlushReason.SIZE
        if self.size > MAX_BATCH_BYTES:
            return FlushReason.BYTES
        return FlushReason.INTERVAL if self.line and self.full_at <= now else None

    def add(self, task: ReadyTask, since: float) -> None:
        self.items[task.id.int] = _Item(task, since)
        insort(self.line, (-score_of(task), task.id.int))
        self.size += _place(task).size

    def remove(self, key: int) -> None:
        task = self.items.pop(key).task
        del self.line[bisect_left(self.line, (-score_of(task), key))]
        self.size -= _place(task).size

    @property
    def best(self) -> ReadyTask:
        return self.items[self.line[0][1]].task

    def take_best(self) -> list[ReadyTask]:
        """Take out as many as one batch may hold."""
        taken: list[ReadyTask] = []
        size = 0
        for _, key in self.line[: self.group.max_size]:
            task = self.items[key].task
            if taken and size + _place(task).size > MAX_BATCH_BYTES:
                break
            size += _place(task).size
            taken.append(task.without_turn())
            del self.items[key]
        del self.line[: len(taken)]
        self.size -= size
        return taken


class _Run:
    """A batch that runs. Its `carrier` holds the slots, which pass on to another item when it ends."""

    __slots__ = ("carrier", "group", "members")

    def __init__(self, group: BatchGroup) -> None:
        self.group = group
        self.members: dict[int, None] = {}
        self.carrier = 0


class Batches:
    """All buffers and running batches of a tenant.

    An item is in one buffer or in one running batch, in one attempt. What changes is noted and decided
    in `call`, so that items which come together are judged together.
    """

    def __init__(self) -> None:
        self._buffers: dict[BatchGroup, _Buffer] = {}
        self._arrived: dict[int, ReadyTask] = {}
        self._buffer_of: dict[int, _Buffer] = {}
        self._run_of: dict[int, _Run] = {}
        self._adopted: dict[UUID, _Run] = {}
        self._unsettled: dict[_Buffer, None] = {}
        self._timers: list[tuple[float, int, _Buffer]] = []
        self._timer_count = 0
        self._began_to_wait: list[ReadyTask] = []

    # What happened

    def arrive(self, task: ReadyTask) -> None:
        """Take note of an attempt that may wait for its batch from now on."""
        self._arrived[task.id.int] = task

    def known(self, key: int) -> ReadyTask | None:
        """Return the attempt of a task that waits for its batch."""
        if buffer := self._buffer_of.get(key):
            return buffer.items[key].task
        return self._arrived.get(key)

    def drop(self, key: int) -> None:
        """Forget a task that waits; nothing happens if it does not."""
        self._arrived.pop(key, None)
        buffer = self._buffer_of.pop(key, None)
        if buffer is not None:
            buffer.remove(key)
            if buffer.caller is not None and buffer.caller.id.int == key:
                buffer.caller = None
            self._unsettled[buffer] = None

    def adopt(self, batch_id: UUID, task: ReadyTask) -> bool:
        """Take over an item of a batch that runs already; return whether it carries the batch's slots."""
        run = self._adopted.get(batch_id)
        if run is None or not run.members:
            run = self._adopted[batch_id] = self._start(_place(task).group, task)
        self._join(run, task)
        return run.carrier == task.id.int

    def leave(self, key: int) -> int | None:
        """Note that an item of a running batch ended; return who carries the batch's slots after it."""
        run = self._run_of.pop(key, None)
        if run is None:
            return None
        del run.members[key]
        if not run.members:
            buffer = self._buffers[run.group]
            buffer.runs -= 1
            self._unsettled[buffer] = None
        elif run.carrier == key:
            run.carrier = next(iter(run.members))
            return run.carrier
        return None

    # Decisions

    def call(self, now: float) -> Calls | None:
        """Decide anew which buffers call for a worker; None if nothing changed."""
        if not (self._unsettled or self._arrived or self._timers):
            return None
        self._take_in(now)
        while self._timers and self._timers[0][0] <= now:
            _, _, buffer = heappop(self._timers)
            buffer.is_timed = False
            self._unsettled[buffer] = None
        if not self._unsettled:
            return None
        calls = Calls([], [])
        for buffer in self._unsettled:
            self._settle(buffer, now, calls)
        self._unsettled.clear()
        return calls

    def flush(self, caller: ReadyTask, now: float) -> Flush:
        """Make a batch of the best items of the caller's buffer, which found a worker."""
        buffer = self._buffer_of[caller.id.int]
        reason = buffer.reason(now) or FlushReason.INTERVAL
        items = buffer.take_best()
        run = self._start(buffer.group, caller)
        for task in items:
            del self._buffer_of[task.id.int]
            self._join(run, task)
        buffer.caller = None
        self._unsettled[buffer] = None
        return Flush(buffer.group, tuple(items), reason)

    def _take_in(self, now: float) -> None:
        for key, task in self._arrived.items():
            buffer = self._buffer(_place(task).group)
            buffer.add(task, _since(task, now))
            self._buffer_of[key] = buffer
            self._unsettled[buffer] = None
        self._began_to_wait += self._arrived.values()
        self._arrived.clear()

    def _settle(self, buffer: _Buffer, now: float, calls: Calls) -> None:
        caller: ReadyTask | None = None
        if buffer.reason(now) is not None:
            if buffer.runs < buffer.group.max_runs:
                caller = buffer.best
        elif buffer.line and not buffer.is_timed:
            self._set_timer(buffer)
        if caller is not buffer.caller:
            if buffer.caller is not None:
                calls.leaving.append(buffer.caller)
            if caller is not None:
                calls.entering.append(caller)
            buffer.caller = caller
        if not (buffer.line or buffer.runs or buffer.is_timed):
            del self._buffers[buffer.group]

    def _set_timer(self, buffer: _Buffer) -> None:
        """One timer a buffer: its first item can only change for a later one."""
        buffer.is_timed = True
        self._timer_count += 1
        heappush(self._timers, (buffer.full_at, self._timer_count, buffer))

    def _buffer(self, group: BatchGroup) -> _Buffer:
        buffer = self._buffers.get(group)
        if buffer is None:
            buffer = self._buffers[group] = _Buffer(group)
        return buffer

    def _start(self, group: BatchGroup, carrier: ReadyTask) -> _Run:
        run = _Run(group)
        run.carrier = carrier.id.int
        self._buffer(group).runs += 1
        return run

    def _join(self, run: _Run, task: ReadyTask) -> None:
        run.members[task.id.int] = None
        self._run_of[task.id.int] = run

    # Questions

    def next_flush_at(self) -> float | None:
        """Return when time itself may make a buffer due."""
        return self._timers[0][0] if self._timers else None

    def take_buffered(self) -> list[ReadyTask]:
        """Return, once, the attempts that began to wait for their batches."""
        began, self._began_to_wait = self._began_to_wait, []
        return began

    def leave_out(self, task_ids: Iterable[UUID]) -> None:
        """Leave out of `take_buffered` tasks that began to wait under a former scheduler."""
        known = set(task_ids)
        self._began_to_wait = [task for task in self._began_to_wait if task.id not in known]

    def waiting(self) -> list[ReadyTask]:
        """Return who waits for a batch, and is not in a queue as its buffer's caller."""
        listed: list[ReadyTask] = list(self._arrived.values())
        for buffer in self._buffers.values():
            listed += [
                item.task for item in buffer.items.values() if item.task is not buffer.caller
            ]
        return listed

    def explain(self, task_id: UUID) -> Reason | None:
        """Return what a task's buffer waits for, unless it is a worker, and this task calls for one."""
        buffer = self._buffer_of.get(task_id.int)
        if buffer is None or (buffer.caller is not None and buffer.caller.id == task_id):
            return None
        group = buffer.group
        if buffer.runs >= group.max_runs:
            return Reason(Obstacle.BATCHES_RUNNING, used=buffer.runs, total=group.max_runs)
        return Reason(Obstacle.BATCH_FILLING, used=len(buffer.line), total=group.max_size)


def _place(task: ReadyTask) -> BatchPlace:
    assert task.claims is not None
    assert task.claims.batch is not None
    return task.claims.batch


def _since(task: ReadyTask, now: float) -> float:
    """Return since when a task counts as waiting.

    A first attempt without other limits waits from its creation, which its arrival tells: so the
    interval goes on where it was when another engine takes over. Others wait from now.
    """
    assert task.claims is not None
    if task.retry_count or task.claims.chain or task.claims.run:
        return now
    return min(now, time_of(UUID(int=task.claims.arrival)).timestamp())
