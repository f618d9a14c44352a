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
    Obstacle,
    ReadyTask,
    Reason,
    RunClaims,
    Shape,
    Wishes,
    explain_worker,
    find_obstacle,
    needs_of,
    score_of,
    shape_of,
)
from engine.domain.rate_limits import Taken
from engine.domain.scheduler.batches import Flush
from engine.domain.scheduler.groups import ConcurrencyGroups
from engine.domain.scheduler.pools import PooledWorker
from engine.domain.scheduler.queue import ActionQueue
from engine.domain.scheduler.waiting import NOTHING, Waiting

__all__ = ["Assignment", "ReadyTask", "Reason", "TenantScheduler"]


Refusals = set[tuple[str, Needs]]


class Assignment(NamedTuple):
    """`batch` is what else the worker gets with the task, if they run together. `taken` are the units of
    rate limits that each task takes which has any.
    """

    task: ReadyTask
    worker_id: UUID
    batch: Flush | None = None
    taken: Mapping[UUID, tuple[Taken, ...]] = NOTHING

    @property
    def tasks(self) -> Sequence[ReadyTask]:
        return (self.task,) if self.batch is None else self.batch.items


class TenantScheduler(Waiting):
    """Workers with free slots, the heads of the queues, and who runs what, of one tenant.

    Invariant between calls: a task is either waiting or running, in one attempt.
    """

    def __init__(self, *, queue_head_limit: int = 1000) -> None:
        super().__init__(queue_head_limit)
        self.groups = ConcurrencyGroups()
        self._cancelled: list[ReadyTask] = []
        self._cancelled_runs: list[RunClaims] = []
        self._moved: list[ReadyTask] = []

    # Decisions

    def offer(self, tasks: Sequence[ReadyTask], now: float) -> list[Assignment]:
        """Assign those new tasks which may run at once, and take their slots; remember nothing of the others.

        Those who wait come first: a task is refused while the database may hold better ones of its
        action, and while somebody waits whose turn at a freed slot has not come: call `drain` first.
        What waits after a drain cannot use the slots that are free.
        """
        turns: dict[str, list[ReadyTask]] = {}
        for task in tasks:
            if task.id.int not in self._running and task.id.int not in self._waiting:
                turns.setdefault(task.action_id, []).append(task)
        assignments: list[Assignment] = []
        for group in turns.values():
            group.sort(key=score_of)
        order = deque(group for action_id, group in turns.items() if action_id in self._pools_of)
        while order:
            group = order.popleft()
            assignment = self._offer_best(group, now)
            if assignment is not None:
                assignments.append(assignment)
            if group:
                order.append(group)
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

    def _line_up(self, tasks: Sequence[ReadyTask]) -> None:
        changed: dict[str, ActionQueue] = {}
        for task in tasks:
            key = task.id.int
            known = self._known(key)
            if known is not None:
                if known.retry_count >= task.retry_count:
                    continue
                self._forget(key)
            if not task.is_batched:
                changed[task.action_id] = self._put_in_queue(task)
            elif task.limits:
                self._waiting[key] = task
                self.limits.arrive(task)
            else:
                self.batches.arrive(task)
        self._note_changed(changed.values())

    def drain(self, now: float) -> list[Assignment]:
        """Assign as many waiting tasks as may run; actions which share workers take turns."""
        self._settle_groups()
        self._call_back(now)
        self._call_batches(now)
        assignments: list[Assignment] = []
        refused: Refusals = set()
        while self._dirty or self._call_back(now):
            lane = self._dirty.popleft()
            lane.is_dirty = False
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
        return assignments

    def _settle_groups(self) -> None:
        settled = self.groups.settle()
        for task in (*settled.cancelled, *settled.withdrawn):
            if self.is_waiting(task.id):
                self._forget(task.id.int)
        self._cancelled += settled.cancelled
        self._cancelled_runs += settled.cancelled_runs
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
        return [task for task in moved if task.id.int not in self._running]

    def adopt_running(
        self, task: ReadyTask, worker_id: UUID, *, holds_slot: bool, batch_id: UUID | None = None
    ) -> None:
        self._forget(task.id.int)
        if task.claims is not None:
            self.groups.hold(task)
        if batch_id is not None and holds_slot and not self.batches.adopt(batch_id, task):
            task = task._replace(slots={})
        super().adopt_running(task, worker_id, holds_slot=holds_slot)

    def keep_groups(self, task: ReadyTask) -> None:
        """Note that an evicted attempt holds its concurrency slots although it is on no worker."""
        if not self.groups.knows(task.id, task.retry_count):
            self.groups.hold(task)

    def remove_worker(self, worker_id: UUID) -> None:
        for task_id, _ in self.running_on(worker_id):
            self.batches.leave(task_id.int)
        super().remove_worker(worker_id)

    def discard(self, task_id: UUID) -> None:
        """Forget a waiting or running task: it was cancelled, or the database refused what was decided."""
        self._forget(task_id.int)
        self.groups.forget(task_id)

    def withdraw(self, task_id: UUID, retry_count: int) -> None:
        """Forget an attempt that ended, running or waiting; a later attempt stays.

        Its concurrency slots are free in the next drain, unless its next attempt is enqueued before.
        """
        self.groups.end(task_id, retry_count)
        waiting = self._waiting.get(task_id.int) or self.batches.known(task_id.int)
        if waiting is not None and waiting.retry_count <= retry_count:
            self._forget(task_id.int)
        else:
            self.release(task_id, retry_count)

    # Questions

    def knows(self, task_id: UUID, retry_count: int, is_resting: bool = False) -> bool:
        """Whether this attempt, or a later one, waits or runs; or else, whether it rests."""
        if self.groups.knows(task_id, retry_count, is_resting):
            return True
        known = self._known(task_id.int)
        return known is not None and known.retry_count >= retry_count

    def _known(self, key: int) -> ReadyTask | None:
        known = self._waiting.get(key)
        if known is None and key in self._running:
            known = self._running[key].running[key]
        return known or self.batches.known(key)

    def is_waiting(self, task_id: UUID) -> bool:
        return task_id.int in self._waiting or self.batches.known(task_id.int) is not None

    def has_worker_for(self, action_id: str, wishes: Wishes | None, now: float) -> bool:
        """Whether some worker may be given such tasks as soon as it has slots."""
        return any(
            find_obstacle(worker, Needs((), wishes), now) is None
            for worker in self._workers_for(action_id)
        )

    def waiting(self) -> list[ReadyTask]:
        return [*self._waiting.values(), *self.groups.waiting(), *self.batches.waiting()]

    def waiting_count(self) -> int:
        return len(self._waiting)

    def explain(self, task: ReadyTask, now: float) -> Reason | None:
        """Return why the task waits; None if nothing but its turn in the next drain is missing."""
        if claim := self.groups.blocking(task.id):
            holders = tuple(self.groups.holders(claim.group))
            return Reason(
                Obstacle.GROUP_FULL,
                used=len(holders),
                total=self.groups.limit(claim),
                ahead=self.groups.count_ahead(task.id, claim),
                group=claim.group,
                holders=holders,
            )
        if (known := self._known(task.id.int)) and known.retry_count == task.retry_count:
            task = known
        if reason := self.batches.explain(task.id):
            return reason
        if reason := self.limits.explain(task, now):
            return reason
        needs, score = needs_of(task), score_of(task)
        queue = self._queues.get(task.action_id)
        ahead = queue.count_known(score + 1, needs) if queue else 0
        is_known = task.id.int in self._waiting
        is_more_ahead = queue is not None and (
            score < queue.floor or (queue.is_unread and not is_known)
        )
        nearest: Reason | None = Reason(Obstacle.NO_WORKER)
        for worker in self._workers_for(task.action_id):
            reason = explain_worker(worker, needs, now)
            if reason is None:
                nearest = None
                break
            if nearest is not None and _closeness(reason) > _closeness(nearest):
                nearest = reason
        limits = () if task.is_batched else task.due_limits
        if nearest is None and limits and (refusal := self.limits.refusal(limits, now)):
            return Reason(Obstacle.RATE_LIMITED, refusal=refusal)
        if nearest is None and not ahead and not is_more_ahead:
            return None
        nearest = nearest or Reason(Obstacle.BEHIND_OTHERS)
        return Reason(
            nearest.obstacle,
            nearest.worker_id,
            nearest.slot_type,
            nearest.used,
            nearest.total,
            ahead,
            is_more_ahead,
        )

    # Parts of a decision

    def _offer_best(self, group: list[ReadyTask], now: float) -> Assignment | None:
        """Try the group's tasks, best last, until one is placed; take those tried out of it."""
        queue = self._queues.get(group[0].action_id)
        while group:
            task = group.pop()
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
            worker = self._choose(task.action_id, needs, now, is_new=True)
            if worker is not None:
                self._take_slots(worker, task, needs.shape)
                if task.claims is not None:
                    self.groups.hold(task)
                return Assignment(task, worker.id, taken=self._take_units(task, now))
        return None

    def _assign_best(
        self, queue: ActionQueue, slot_type: str, now: float, refused: Refusals
    ) -> Assignment | None:
        """Assign the best task that finds a worker. Slots only get fewer while the queues are drained:
        wishes which nobody answered once are `refused` and not tried again."""
        for needs in queue.ready_needs(slot_type):
            if needs.wishes is not None and (queue.action_id, needs) in refused:
                continue
            if not self._park_limited(queue, needs, now):
                continue
            worker = self._choose(queue.action_id, needs, now, is_new=False)
            if worker is None and needs.wishes is not None:
                refused.add((queue.action_id, needs))
            elif worker is not None:
                task = queue.take_best(needs).without_turn()
                del self._waiting[task.id.int]
                self._sync(queue)
                self._take_slots(worker, task, needs.shape)
                if task.is_batched:
                    return self._assign_batch(task, worker, now)
                return Assignment(task, worker.id, taken=self._take_units(task, now))
        queue.widen()
        return None

    def _assign_batch(self, caller: ReadyTask, worker: PooledWorker, now: float) -> Assignment:
        """Give the worker of a caller, which has taken the slots, the rest of its batch."""
        flush = self.batches.flush(caller, now)
        for task in flush.items[1:]:
            free = task._replace(slots={})
            self._take_slots(worker, free, shape_of(free.slots))
        self._call_batches(now)
        return Assignment(caller, worker.id, flush, self._taken_by(flush.items))

    def _slots_freed(self, worker: PooledWorker, task: ReadyTask) -> Shape:
        """The slots of a batch are free when its last item has ended."""
        heir = self.batches.leave(task.id.int)
        if heir is None:
            return super()._slots_freed(worker, task)
        worker.running[heir] = worker.running[heir]._replace(slots=task.slots)
        return ()

    def _forget(self, key: int) -> None:
        if not self._stop_waiting(key):
            self.release(UUID(int=key))


def _closeness(reason: Reason) -> tuple[int, int]:
    return (reason.obstacle, reason.total - reason.used)
