"""The scheduler of one tenant: a pure state machine from events to assignments.

It does no I/O, reads no clock and draws no random numbers: `now` is passed in, in seconds. Its owner calls
it from one thread and writes what it decides; what the database refuses comes back through `discard`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from engine.domain.assignment import (
    ANY_SLOT,
    HEARTBEAT_FRESH_SECONDS,
    UNLIMITED,
    Obstacle,
    ReadyTask,
    Reason,
    Shape,
    explain_worker,
    score_of,
    shape_of,
)
from engine.runtime.scheduler.pools import Lane, Pool, PooledWorker
from engine.runtime.scheduler.queue import ActionQueue

__all__ = ["Assignment", "ReadyTask", "Reason", "TenantScheduler"]


class Assignment(NamedTuple):
    task: ReadyTask
    worker_id: UUID


class TenantScheduler:
    """Workers with free slots, the heads of the queues, and who runs what, of one tenant.

    Invariants between calls: a lane which has both a free slot and an action in its rotation whose
    turn has not been tried is dirty; a task is either waiting or running, in one attempt; a worker
    is listed in its pool's lanes unless it was seen to be unassignable.
    """

    def __init__(self, *, queue_head_limit: int = 1000) -> None:
        self._limit = queue_head_limit
        self._workers: dict[UUID, PooledWorker] = {}
        self._pools: dict[frozenset[str], Pool] = {}
        self._pools_of: dict[str, list[Pool]] = {}
        self._queues: dict[str, ActionQueue] = {}
        self._partial: set[str] = set()
        """Actions of whose queue the database may hold more than memory."""
        self._waiting: dict[int, ReadyTask] = {}
        self._running: dict[int, PooledWorker] = {}
        self._dirty: deque[Lane] = deque()

    # Workers

    def upsert_worker(
        self,
        worker_id: UUID,
        *,
        actions: frozenset[str],
        slots: Mapping[str, int],
        is_active: bool,
        is_paused: bool,
        last_heartbeat: float | None,
    ) -> None:
        """Add a worker or replace what is known of it; tasks which run on it stay."""
        worker = self._workers.get(worker_id)
        if worker is None:
            worker = self._workers[worker_id] = PooledWorker(worker_id, self._pool(actions))
        else:
            self._leave_pool(worker)
            worker.pool = self._pool(actions)
        worker.pool.workers[worker_id] = worker
        worker.capacity = dict(slots)
        worker.free = {**slots, ANY_SLOT: UNLIMITED}
        for task in worker.running.values():
            for slot_type, units in shape_of(task.slots):
                worker.pool.change_free(worker, slot_type, -units)
        worker.is_active = is_active
        worker.is_paused = is_paused
        worker.last_heartbeat = last_heartbeat
        self._relist(worker)

    def set_worker_active(self, worker_id: UUID, is_active: bool) -> None:
        if worker := self._workers.get(worker_id):
            worker.is_active = is_active
            self._relist(worker)

    def set_worker_paused(self, worker_id: UUID, is_paused: bool) -> None:
        if worker := self._workers.get(worker_id):
            worker.is_paused = is_paused
            self._relist(worker)

    def set_worker_labels(self, worker_id: UUID, labels: Mapping[str, str | int]) -> None:
        if worker := self._workers.get(worker_id):
            worker.labels = dict(labels)
            self._touch(worker.pool)

    def record_heartbeat(self, worker_id: UUID, now: float) -> None:
        if worker := self._workers.get(worker_id):
            worker.last_heartbeat = now
            if not worker.is_listed:
                self._relist(worker)

    def remove_worker(self, worker_id: UUID) -> None:
        """Forget a worker and that tasks run on it."""
        worker = self._workers.pop(worker_id, None)
        if worker is None:
            return
        for key in worker.running:
            del self._running[key]
        self._leave_pool(worker)

    def adopt_running(self, task: ReadyTask, worker_id: UUID, *, holds_slot: bool) -> None:
        """Take over a task which a former owner assigned, even beyond the worker's capacity."""
        if not holds_slot:
            return
        self._forget(task.id.int)
        worker = self._workers.get(worker_id)
        if worker is None:
            worker = self._workers[worker_id] = PooledWorker(worker_id, self._pool(frozenset()))
            worker.pool.workers[worker_id] = worker
        self._take_slots(worker, task, shape_of(task.slots))

    # Decisions

    def offer(self, tasks: Sequence[ReadyTask], now: float) -> list[Assignment]:
        """Assign those new tasks which may run at once, and take their slots; remember nothing of the others.

        A task must not overtake a waiting one of its action with the same or a higher priority, nor
        take a freed slot whose turn belongs to a waiting action: call `drain` first.
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
        """Remember committed queued tasks. One known in this attempt or a later one changes nothing."""
        changed: dict[str, ActionQueue] = {}
        for task in tasks:
            key = task.id.int
            known = self._waiting.get(key)
            if known is None and key in self._running:
                known = self._running[key].running[key]
            if known is not None:
                if known.retry_count >= task.retry_count:
                    continue
                self._forget(key)
            queue = self._queue(task.action_id)
            dropped = queue.add(task, shape_of(task.slots), score_of(task))
            if dropped is not task:
                self._waiting[key] = task
                if dropped is not None:
                    del self._waiting[dropped.id.int]
            changed[task.action_id] = queue
        for queue in changed.values():
            self._sync(queue)
            self._touch_action(queue)

    def drain(self, now: float) -> list[Assignment]:
        """Assign as many waiting tasks as may run; actions which share workers take turns."""
        assignments: list[Assignment] = []
        while self._dirty:
            lane = self._dirty.popleft()
            lane.is_dirty = False
            misses = 0
            while lane.top and misses < len(lane.rotation):
                queue = next(iter(lane.rotation))
                lane.rotation.move_to_end(queue)
                assignment = self._assign_best(queue, lane.slot_type, now)
                if assignment is None:
                    misses += 1
                else:
                    misses = 0
                    assignments.append(assignment)
        return assignments

    def release(self, task_id: UUID, retry_count: int | None = None) -> bool:
        """Free the slots a task holds because it ended or gave them back; False if it holds none."""
        key = task_id.int
        worker = self._running.get(key)
        if worker is None or retry_count not in (None, worker.running[key].retry_count):
            return False
        del self._running[key]
        task = worker.running.pop(key)
        for slot_type, units in shape_of(task.slots):
            worker.pool.change_free(worker, slot_type, units)
        self._touch(worker.pool)
        return True

    def discard(self, task_id: UUID) -> None:
        """Forget a waiting or running task: it was cancelled, or the database refused what was decided."""
        self._forget(task_id.int)

    # Refill

    def wants_refill(self) -> list[str]:
        """Return the actions whose queue should be read again, best `queue_head_limit` rows first.

        What another process adds while the caller reads is not lost: see `mark_has_more`.
        """
        wanted = []
        for action_id in self._partial:
            queue = self._queues[action_id]
            if queue.is_unread or queue.count_known() * 2 < self._limit:
                queue.is_unread = False
                wanted.append(action_id)
        return wanted

    def mark_refilled(
        self, action_id: str, *, has_more: bool, last: ReadyTask | None = None
    ) -> None:
        """Say, after enqueueing what was read, whether the database holds more, and the last row read.

        `last` keeps tasks that were enqueued meanwhile from overtaking rows which were not read yet.
        """
        queue = self._queue(action_id)
        queue.mark_read(has_more=has_more, last=None if last is None else score_of(last))
        self._sync(queue)
        self._touch_action(queue)

    def mark_has_more(self, action_id: str) -> None:
        """Note that another process queued rows of this action, of whatever rank."""
        queue = self._queue(action_id)
        queue.mark_unread()
        self._sync(queue)

    # Questions

    def running_on(self, worker_id: UUID) -> list[tuple[UUID, int]]:
        """Return (task id, retry_count) of the tasks which hold slots of the worker."""
        worker = self._workers.get(worker_id)
        return (
            []
            if worker is None
            else [(task.id, task.retry_count) for task in worker.running.values()]
        )

    def waiting_count(self) -> int:
        return len(self._waiting)

    def running_count(self) -> int:
        return len(self._running)

    def free_slots(self, worker_id: UUID) -> dict[str, int]:
        """Return free slots by type; negative where more runs than the worker now offers."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return {}
        return {slot_type: free for slot_type, free in worker.free.items() if slot_type != ANY_SLOT}

    def next_stale_at(self, now: float) -> float | None:
        """Return when the next assignable worker goes stale unless it beats, None without any."""
        return min(
            (
                worker.last_heartbeat + HEARTBEAT_FRESH_SECONDS
                for worker in self._workers.values()
                if worker.is_listed
                and worker.last_heartbeat is not None
                and now - worker.last_heartbeat < HEARTBEAT_FRESH_SECONDS
            ),
            default=None,
        )

    def explain(self, task: ReadyTask, now: float) -> Reason | None:
        """Return why the task waits; None if nothing but its turn in the next drain is missing."""
        shape, score = shape_of(task.slots), score_of(task)
        queue = self._queues.get(task.action_id)
        ahead = queue.count_known(score + 1, shape) if queue else 0
        is_more_ahead = queue is not None and score < queue.floor
        nearest: Reason | None = Reason(Obstacle.NO_WORKER)
        for worker in self._workers_for(task.action_id):
            reason = explain_worker(worker, shape, now)
            if reason is None:
                nearest = None
                break
            if nearest is not None and _closeness(reason) > _closeness(nearest):
                nearest = reason
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
            shape = shape_of(task.slots)
            if queue is not None and not self._may_pass(queue, task):
                continue
            worker = self._choose(task.action_id, shape, now, is_new=True)
            if worker is not None:
                self._take_slots(worker, task, shape)
                return Assignment(task, worker.id)
        return None

    def _may_pass(self, queue: ActionQueue, task: ReadyTask) -> bool:
        score = score_of(task)
        return not queue.is_unread and score >= queue.floor and score > queue.best()

    def _assign_best(self, queue: ActionQueue, slot_type: str, now: float) -> Assignment | None:
        for shape in queue.ready_shapes(slot_type):
            worker = self._choose(queue.action_id, shape, now, is_new=False)
            if worker is not None:
                task = queue.take_best(shape)
                del self._waiting[task.id.int]
                self._sync(queue)
                self._take_slots(worker, task, shape)
                return Assignment(task, worker.id)
        return None

    def _choose(
        self, action_id: str, shape: Shape, now: float, *, is_new: bool
    ) -> PooledWorker | None:
        """Return the freest worker for the shape; a new task may not use lanes whose waiters come first."""
        stale: list[PooledWorker] = []
        chosen: PooledWorker | None = None
        slot_type = shape[0][0]
        for pool in self._pools_of.get(action_id, ()):
            lane = pool.lane(slot_type)
            if is_new and lane.is_dirty and lane.rotation:
                continue
            worker = lane.choose(shape, now, stale)
            if worker is not None and (
                chosen is None or worker.free[slot_type] > chosen.free[slot_type]
            ):
                chosen = worker
        for worker in stale:
            if worker.is_listed:
                worker.pool.unlist_worker(worker)
        return chosen

    def _take_slots(self, worker: PooledWorker, task: ReadyTask, shape: Shape) -> None:
        worker.running[task.id.int] = task
        self._running[task.id.int] = worker
        for slot_type, units in shape:
            worker.pool.change_free(worker, slot_type, -units)

    def _forget(self, key: int) -> None:
        task = self._waiting.pop(key, None)
        if task is None:
            self.release(UUID(int=key))
            return
        queue = self._queues[task.action_id]
        queue.remove(shape_of(task.slots), score_of(task))
        self._sync(queue)

    # Pools and lanes

    def _pool(self, actions: frozenset[str]) -> Pool:
        pool = self._pools.get(actions)
        if pool is None:
            pool = self._pools[actions] = Pool(actions)
            for action_id in actions:
                self._pools_of.setdefault(action_id, []).append(pool)
                if queue := self._queues.get(action_id):
                    for slot_type in queue.lanes:
                        pool.lane(slot_type).rotation[queue] = None
        return pool

    def _leave_pool(self, worker: PooledWorker) -> None:
        pool = worker.pool
        if worker.is_listed:
            pool.unlist_worker(worker)
        del pool.workers[worker.id]
        if pool.workers:
            return
        del self._pools[pool.actions]
        for action_id in pool.actions:
            self._pools_of[action_id].remove(pool)
            if not self._pools_of[action_id]:
                del self._pools_of[action_id]

    def _relist(self, worker: PooledWorker) -> None:
        """List the worker in its lanes if it may take tasks for all that is known without a clock."""
        is_wanted = worker.is_active and not worker.is_paused and worker.last_heartbeat is not None
        if worker.is_listed and not is_wanted:
            worker.pool.unlist_worker(worker)
        elif is_wanted:
            if not worker.is_listed:
                worker.pool.list_worker(worker)
            self._touch(worker.pool)

    def _touch(self, pool: Pool) -> None:
        """Have the next drain look at the pool's lanes: a worker there may take more than before."""
        for lane in pool.lanes.values():
            self._mark_dirty(lane)

    def _touch_action(self, queue: ActionQueue) -> None:
        for pool in self._pools_of.get(queue.action_id, ()):
            for slot_type in queue.lanes:
                self._mark_dirty(pool.lane(slot_type))

    def _mark_dirty(self, lane: Lane) -> None:
        if lane.top and lane.rotation and not lane.is_dirty:
            lane.is_dirty = True
            self._dirty.append(lane)

    def _queue(self, action_id: str) -> ActionQueue:
        queue = self._queues.get(action_id)
        if queue is None:
            queue = self._queues[action_id] = ActionQueue(action_id, self._limit)
        return queue

    def _sync(self, queue: ActionQueue) -> None:
        """Give the queue a place in the rotations where a task of it may go, and forget it when empty."""
        lanes = queue.ready_types()
        if lanes != queue.lanes:
            for pool in self._pools_of.get(queue.action_id, ()):
                for slot_type in queue.lanes - lanes:
                    del pool.lane(slot_type).rotation[queue]
                for slot_type in lanes - queue.lanes:
                    pool.lane(slot_type).rotation[queue] = None
            queue.lanes = lanes
        if queue.floor:
            self._partial.add(queue.action_id)
            return
        self._partial.discard(queue.action_id)
        if not queue.count:
            self._queues.pop(queue.action_id, None)

    def _workers_for(self, action_id: str) -> Iterable[PooledWorker]:
        for pool in self._pools_of.get(action_id, ()):
            yield from pool.workers.values()


def _closeness(reason: Reason) -> tuple[int, int]:
    return (reason.obstacle, reason.total - reason.used)
