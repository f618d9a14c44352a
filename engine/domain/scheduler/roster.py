"""The workers of one tenant: their slots, who holds them, and where waiting actions take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from uuid import UUID

from engine.domain.assignment import (
    ANY_SLOT,
    UNLIMITED,
    Needs,
    ReadyTask,
    Shape,
    rank_of,
    shape_of,
)
from engine.domain.scheduler.pools import Lane, Pool, PooledWorker
from engine.domain.scheduler.queue import ActionQueue


class WorkerRoster:
    """Half of the tenant's scheduler: everything about workers, nothing about who waits in a queue.

    Invariants between calls: a worker is listed in its pool's lanes unless it was seen to be
    unassignable; a lane which has both a free slot and an action whose turn was not tried since
    is dirty.
    """

    def __init__(self) -> None:
        self._workers: dict[UUID, PooledWorker] = {}
        self._pools: dict[frozenset[str], Pool] = {}
        self._pools_of: dict[str, list[Pool]] = {}
        self._queues: dict[str, ActionQueue] = {}
        self._running: dict[int, PooledWorker] = {}
        self._dirty: deque[Lane] = deque()

    def upsert_worker(
        self,
        worker_id: UUID,
        *,
        actions: frozenset[str],
        slots: Mapping[str, int],
        is_active: bool,
        is_paused: bool,
        last_heartbeat: float | None,
        is_stalled: bool = False,
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
        worker.is_paused, worker.is_stalled = is_paused, is_stalled
        worker.last_heartbeat = last_heartbeat
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
        worker = self._workers.get(worker_id)
        if worker is None:
            worker = self._workers[worker_id] = PooledWorker(worker_id, self._pool(frozenset()))
            worker.pool.workers[worker_id] = worker
        self._take_slots(worker, task, shape_of(task.slots))

    def release(self, task_id: UUID, retry_count: int | None = None) -> bool:
        """Free the slots a task holds because it ended or gave them back; False if it holds none."""
        key = task_id.int
        worker = self._running.get(key)
        if worker is None or retry_count not in (None, worker.running[key].retry_count):
            return False
        del self._running[key]
        task = worker.running.pop(key)
        for slot_type, units in self._slots_freed(worker, task):
            worker.pool.change_free(worker, slot_type, units)
        self._touch(worker.pool)
        return True

    def _slots_freed(self, _worker: PooledWorker, task: ReadyTask) -> Shape:
        """Return what a task that no longer runs gives back."""
        return shape_of(task.slots)

    def running_on(self, worker_id: UUID) -> list[tuple[UUID, int]]:
        """Return (task id, retry_count) of the tasks which hold slots of the worker."""
        worker = self._workers.get(worker_id)
        return (
            []
            if worker is None
            else [(task.id, task.retry_count) for task in worker.running.values()]
        )

    def task_on(self, task_id: UUID) -> tuple[UUID, ReadyTask] | None:
        """Return the worker whose slots a task holds, and the task as it was assigned."""
        worker = self._running.get(task_id.int)
        return None if worker is None else (worker.id, worker.running[task_id.int])

    def stalled_workers(self) -> list[UUID]:
        return [worker_id for worker_id, worker in self._workers.items() if worker.is_stalled]

    def known_workers(self) -> set[UUID]:
        return set(self._workers)

    def workers_with_tasks(self) -> list[UUID]:
        """Return the workers whose slots somebody holds."""
        return [worker_id for worker_id, worker in self._workers.items() if worker.running]

    def running_count(self) -> int:
        return len(self._running)

    def free_slots(self, worker_id: UUID) -> dict[str, int]:
        """Return free slots by type; negative where more runs than the worker now offers."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return {}
        return {slot_type: free for slot_type, free in worker.free.items() if slot_type != ANY_SLOT}

    def _choose(
        self, action_id: str, needs: Needs, now: float, *, is_new: bool
    ) -> PooledWorker | None:
        """Return the best worker for the needs; a new task may not use lanes whose waiters come first."""
        stale: list[PooledWorker] = []
        chosen: PooledWorker | None = None
        slot_type = needs.shape[0][0]
        for pool in self._pools_of.get(action_id, ()):
            lane = pool.lane(slot_type)
            if is_new and lane.is_dirty and lane.rotation:
                continue
            worker = lane.choose(needs, now, stale)
            if worker is not None and (
                chosen is None or rank_of(worker, needs) > rank_of(chosen, needs)
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
        is_wanted = (
            worker.is_active
            and not worker.is_paused
            and not worker.is_stalled
            and worker.last_heartbeat is not None
        )
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

    def _give_turns(self, queue: ActionQueue) -> None:
        """Give the queue a place in exactly those rotations under which a task of it may go."""
        lanes = queue.ready_types()
        if lanes == queue.lanes:
            return
        for pool in self._pools_of.get(queue.action_id, ()):
            for slot_type in queue.lanes - lanes:
                del pool.lane(slot_type).rotation[queue]
            for slot_type in lanes - queue.lanes:
                pool.lane(slot_type).rotation[queue] = None
        queue.lanes = lanes

    def _workers_for(self, action_id: str) -> Iterable[PooledWorker]:
        for pool in self._pools_of.get(action_id, ()):
            yield from pool.workers.values()
