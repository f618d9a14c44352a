"""The scheduler of one tenant: a pure state machine from events to assignments.

It does no I/O, reads no clock and draws no random numbers: `now` is passed in, in seconds. Its owner calls
it from one thread and writes what it decides; what the database refuses comes back through `discard`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import (
    Needs,
    Placement,
    ReadyTask,
    Reason,
    RunClaims,
    find_obstacle,
    needs_of,
    score_of,
    shape_of,
)
from engine.domain.rate_limits import Taken
from engine.domain.scheduler.batches import Batches, Flush
from engine.domain.scheduler.groups import ConcurrencyGroups
from engine.domain.scheduler.limits import RateLimits
from engine.domain.scheduler.pools import PooledWorker
from engine.domain.scheduler.queue import ActionQueue
from engine.domain.scheduler.queues import Queues
from engine.domain.scheduler.reasons import reason_of_queue
from engine.domain.scheduler.turns import Pools
from engine.domain.scheduler.waiting import NO_UNITS, WaitingTasks
from engine.domain.scheduler.workers import Workers

__all__ = ["Assignment", "ReadyTask", "Reason", "TenantScheduler"]

Refusals = set[tuple[str, Needs]]


class Assignment(NamedTuple):
    """`batch` is what else the worker gets with the task, if they run together. `taken` are the units of
    rate limits that each task takes which has any.
    """

    task: ReadyTask
    worker_id: UUID
    batch: Flush | None = None
    taken: Mapping[UUID, tuple[Taken, ...]] = NO_UNITS

    @property
    def tasks(self) -> Sequence[ReadyTask]:
        return (self.task,) if self.batch is None else self.batch.items


class Decided(NamedTuple):
    """How often the queues were gone through, and what came of it."""

    turns: int
    assigned: int
    cancelled: int


class TenantScheduler:
    """Decides who runs where, for one tenant, with the parts that know what happened.

    `workers` know who holds slots, `queues` which tasks of each action are in memory, `groups` who may
    enter its queue, `batches` who runs together, `limits` who has units. What concerns one part alone is
    said to it; what is said here concerns several.

    Invariant between calls: a task is either waiting or running, in one attempt.
    """

    def __init__(self, *, queue_head_limit: int = 1000) -> None:
        self._pools = Pools()
        self.groups, self.batches, self.limits = ConcurrencyGroups(), Batches(), RateLimits()
        self.workers = Workers(self._pools, self.batches)
        self.queues = Queues(self._pools, queue_head_limit)
        self._waiting = WaitingTasks(self.queues, self.batches, self.limits)
        self._cancelled: list[ReadyTask] = []
        self._cancelled_runs: list[RunClaims] = []
        self._moved: list[ReadyTask] = []
        self._decided = Decided(0, 0, 0)

    # Decisions

    def offer(self, tasks: Sequence[ReadyTask], now: float) -> list[Assignment]:
        """Assign those new tasks which may run at once, and take their slots; remember nothing of the others.

        Those who wait come first: a task is refused while the database may hold better ones of its
        action, and while somebody waits whose turn at a freed slot has not come: call `drain` first.
        What waits after a drain cannot use the slots that are free.
        """
        turns: dict[str, list[ReadyTask]] = {}
        for task in tasks:
            key = task.id.int
            if not self.workers.is_running(key) and self._waiting.find(key) is None:
                turns.setdefault(task.action_id, []).append(task)
        assignments: list[Assignment] = []
        for offered in turns.values():
            offered.sort(key=score_of)
        order = deque(
            offered for action_id, offered in turns.items() if self._pools.is_served(action_id)
        )
        while order:
            offered = order.popleft()
            assignment = self._offer_best(offered, now)
            if assignment is not None:
                assignments.append(assignment)
            if offered:
                order.append(offered)
        if assignments:
            self._count(assignments)
        return assignments

    def enqueue(self, tasks: Sequence[ReadyTask]) -> None:
        """Remember committed queued tasks. One known in this attempt or a later one changes nothing.

        A task of concurrency groups enters its queue in the next drain, once it holds all its slots; a
        restored one holds them. One that rests is known to its groups. One that runs in batches enters
        its buffer.
        """
        ready = []
        for task in tasks:
            if task.is_resting:
                if task.claims is not None:
                    self.groups.rest(task)
            elif task.claims is None:
                ready.append(task)
            elif task.is_restored:
                self.keep_groups(task)
                ready.append(task)
            else:
                self.groups.arrive(task)
        self._line_up(ready)

    def drain(self, now: float) -> list[Assignment]:
        """Assign as many waiting tasks as may run; actions which share workers take turns."""
        pools = self._pools
        self._settle_groups()
        self._waiting.call_back(now)
        self._waiting.call_batches(now)
        assignments: list[Assignment] = []
        refused: Refusals = set()
        while pools.has_dirty() or (self._waiting.call_back(now) and pools.has_dirty()):
            lane = pools.take_dirty()
            misses = 0
            while lane.top and misses < len(lane.rotation):
                queue = next(iter(lane.rotation))
                lane.rotation.move_to_end(queue)
                assignment = self._assign_best(queue, lane.slot_type, now, refused)
                if assignment is None:
                    misses += (
                        queue in lane.rotation
                    )  # it leaves when all its tasks have to wait elsewhere
                else:
                    misses = 0
                    assignments.append(assignment)
        self._count(assignments, turns=1)
        return assignments

    def _count(
        self, assignments: Sequence[Assignment] = (), *, turns: int = 0, cancelled: int = 0
    ) -> None:
        decided = self._decided
        assigned = sum(len(assignment.tasks) for assignment in assignments)
        self._decided = Decided(
            decided.turns + turns, decided.assigned + assigned, decided.cancelled + cancelled
        )

    @property
    def has_decided(self) -> bool:
        """Whether anything was assigned or cancelled since `take_decided` was asked the last time."""
        return bool(self._decided.assigned or self._decided.cancelled)

    def take_decided(self) -> Decided:
        """Return, once, how much was decided since this was asked the last time."""
        decided, self._decided = self._decided, Decided(0, 0, 0)
        return decided

    def _settle_groups(self) -> None:
        settled = self.groups.settle()
        for task in (*settled.cancelled, *settled.withdrawn):
            if self.is_waiting(task.id):
                self._forget(task.id.int)
        self._cancelled += settled.cancelled
        self._cancelled_runs += settled.cancelled_runs
        if settled.cancelled or settled.cancelled_runs:
            self._count(cancelled=len(settled.cancelled) + len(settled.cancelled_runs))
        self._moved += settled.moved
        if settled.admitted:
            self._line_up(settled.admitted)

    def take_cancelled(self) -> list[ReadyTask]:
        """Return, once, the attempts which drains decided to cancel; they hold what they hold until they end."""
        cancelled, self._cancelled = self._cancelled, []
        return cancelled

    def take_cancelled_runs(self) -> list[RunClaims]:
        """Return, once, the runs which drains decided to cancel; they hold their slots until they end."""
        cancelled, self._cancelled_runs = self._cancelled_runs, []
        return cancelled

    def take_moved(self) -> list[ReadyTask]:
        """Return, once, the attempts which drains let on in their groups and which still do not run."""
        moved, self._moved = self._moved, []
        return [task for task in moved if not self.workers.is_running(task.id.int)]

    # What happened

    def adopt_running(
        self, task: ReadyTask, worker_id: UUID, *, holds_slot: bool, batch_id: UUID | None = None
    ) -> None:
        """Take over a task which a former owner assigned, even beyond the worker's capacity."""
        self._forget(task.id.int)
        if task.claims is not None:
            self.groups.hold(task)
        if holds_slot:
            self.workers.adopt(task, worker_id, batch_id)

    def keep_groups(self, task: ReadyTask) -> None:
        """Note that an evicted attempt holds its concurrency slots although it is on no worker."""
        if not self.groups.knows(task.id, task.retry_count):
            self.groups.hold(task)

    def discard(self, task_id: UUID) -> None:
        """Forget a waiting or running task: it was cancelled, or the database refused what was decided."""
        self._forget(task_id.int)
        self.groups.forget(task_id)

    def withdraw(self, task_id: UUID, retry_count: int) -> None:
        """Forget an attempt that ended, running or waiting; a later attempt stays.

        Its concurrency slots are free in the next drain, unless its next attempt is enqueued before.
        """
        self.groups.end(task_id, retry_count)
        waiting = self._waiting.find(task_id.int) or self.batches.known(task_id.int)
        if waiting is not None and waiting.retry_count <= retry_count:
            self._forget(task_id.int)
        else:
            self.workers.release(task_id, retry_count)

    # Questions

    def knows(self, task_id: UUID, retry_count: int, is_resting: bool = False) -> bool:
        """Whether this attempt, or a later one, waits or runs; or else, whether it rests."""
        if self.groups.knows(task_id, retry_count, is_resting):
            return True
        known = self._known(task_id.int)
        return known is not None and known.retry_count >= retry_count

    def _known(self, key: int) -> ReadyTask | None:
        return self._waiting.find(key) or self.workers.running(key) or self.batches.known(key)

    def is_waiting(self, task_id: UUID) -> bool:
        key = task_id.int
        return self._waiting.find(key) is not None or self.batches.known(key) is not None

    def has_worker_for(self, action_id: str, placement: Placement | None, now: float) -> bool:
        """Whether some worker may be given such tasks as soon as it has slots."""
        return any(
            find_obstacle(worker, Needs((), placement), now) is None
            for worker in self._pools.workers_for(action_id)
        )

    def waiting(self) -> list[ReadyTask]:
        return [*self._waiting.tasks(), *self.groups.waiting(), *self.batches.waiting()]

    def waiting_count(self) -> int:
        """Return how many wait in queues or for units of rate limits."""
        return self._waiting.count()

    def next_at(self) -> float | None:
        """Return when time itself may let somebody go on."""
        return self._waiting.next_at()

    def explain(self, task: ReadyTask, now: float) -> Reason | None:
        """Return why the task waits; None if nothing but its turn in the next drain is missing."""
        if reason := self.groups.explain(task.id):
            return reason
        if (known := self._known(task.id.int)) and known.retry_count == task.retry_count:
            task = known
        if reason := self.batches.explain(task.id):
            return reason
        if reason := self.limits.explain(task, now):
            return reason
        return reason_of_queue(
            task,
            now,
            queue=self.queues.get(task.action_id),
            is_known=self._waiting.find(task.id.int) is not None,
            workers=self._pools.workers_for(task.action_id),
            limits=self.limits,
        )

    # Parts of a decision

    def _offer_best(self, offered: list[ReadyTask], now: float) -> Assignment | None:
        """Try the tasks, best last, until one is placed; take those tried out of it."""
        queue = self.queues.get(offered[0].action_id)
        while offered:
            task = offered.pop()
            if task.claims is not None and (
                task.is_batched or not self.groups.has_room(task.claims)
            ):
                continue
            if task.limits and (
                self.limits.has_waiters(task.limits) or self.limits.refusal(task.limits, now)
            ):
                continue
            needs = needs_of(task)
            if queue is not None and (queue.is_unread or score_of(task) < queue.floor):
                continue  # a better one may be in the database
            worker = self._pools.choose(task.action_id, needs, now, is_new=True)
            if worker is not None:
                self.workers.take_slots(worker, task, needs.shape)
                if task.claims is not None:
                    self.groups.hold(task)
                return Assignment(task, worker.id, taken=self._waiting.take_units(task, now))
        return None

    def _assign_best(
        self, queue: ActionQueue, slot_type: str, now: float, refused: Refusals
    ) -> Assignment | None:
        """Assign the best task that finds a worker. Slots only get fewer while the queues are drained:
        needs with a placement that found no worker are `refused` and not tried again."""
        for needs in queue.ready_needs(slot_type):
            if needs.placement is not None and (queue.action_id, needs) in refused:
                continue
            if not self._waiting.park_limited(queue, needs, now):
                continue
            worker = self._pools.choose(queue.action_id, needs, now, is_new=False)
            if worker is None and needs.placement is not None:
                refused.add((queue.action_id, needs))
            elif worker is not None:
                task = self._waiting.take_best(queue, needs)
                self.workers.take_slots(worker, task, needs.shape)
                if task.is_batched:
                    return self._assign_batch(task, worker, now)
                return Assignment(task, worker.id, taken=self._waiting.take_units(task, now))
        queue.widen()
        return None

    def _assign_batch(self, caller: ReadyTask, worker: PooledWorker, now: float) -> Assignment:
        """Give the worker of a caller, which has taken the slots, the rest of its batch."""
        flush = self.batches.flush(caller, now)
        for task in flush.items[1:]:
            free = task._replace(slots={})
            self.workers.take_slots(worker, free, shape_of(free.slots))
        self._waiting.call_batches(now)
        return Assignment(caller, worker.id, flush, self._waiting.taken_by(flush.items))

    # Parts of what happened

    def _line_up(self, tasks: Sequence[ReadyTask]) -> None:
        """Have tasks wait that hold all slots of their groups."""
        changed: dict[str, ActionQueue] = {}
        for task in tasks:
            key = task.id.int
            known = self._known(key)
            if known is not None:
                if known.retry_count >= task.retry_count:
                    continue
                self._forget(key)
            queue = self._waiting.put(task)
            if queue is not None:
                changed[task.action_id] = queue
        self.queues.publish(changed.values())

    def _forget(self, key: int) -> None:
        if not self._waiting.stop(key):
            self.workers.release(UUID(int=key))
