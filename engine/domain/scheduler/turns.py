"""All pools of a tenant, and whose turn it is: which actions wait at which lanes, which lanes to look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from uuid import UUID

from engine.domain.assignment import Needs, rank_of
from engine.domain.scheduler.pools import Lane, Pool, PooledWorker
from engine.domain.scheduler.queue import ActionQueue


class Pools:
    """Finds workers for actions, and lanes for the next drain.

    Invariants between calls: a worker is listed in its pool's lanes unless it was seen to be
    unassignable; a queue has a place in exactly those rotations under which a task of it may go; a
    lane which has both a free slot and an action whose turn was not tried since is dirty.
    """

    def __init__(self) -> None:
        self._pools: dict[frozenset[str], Pool] = {}
        self._pools_of: dict[str, list[Pool]] = {}
        self._queues: dict[str, ActionQueue] = {}
        """Those with a place in rotations, or that get one when a worker comes, by action."""
        self._dirty: deque[Lane] = deque()

    # Workers

    def add(self, worker_id: UUID, actions: frozenset[str]) -> PooledWorker:
        """Return a new worker in the pool of these actions; it is not listed yet."""
        return PooledWorker(worker_id, self._pool(actions))

    def move(self, worker: PooledWorker, actions: frozenset[str]) -> None:
        """Take a worker to the pool of these actions; it is not listed there yet."""
        self.remove(worker)
        worker.pool = self._pool(actions)
        worker.pool.workers[worker.id] = worker

    def remove(self, worker: PooledWorker) -> None:
        """Take a worker out of its pool, and forget a pool without workers."""
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

    def relist(self, worker: PooledWorker) -> None:
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
            self.touch(worker.pool)

    def workers_for(self, action_id: str) -> Iterable[PooledWorker]:
        """Return all workers that know an action, whether or not they may take anything."""
        for pool in self._pools_of.get(action_id, ()):
            yield from pool.workers.values()

    def is_served(self, action_id: str) -> bool:
        """Whether any worker knows the action."""
        return action_id in self._pools_of

    def choose(
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

    # Turns

    def give_turns(self, queue: ActionQueue) -> None:
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
        if lanes:
            self._queues[queue.action_id] = queue
        else:
            del self._queues[queue.action_id]

    def touch(self, pool: Pool) -> None:
        """Have the next drain look at the pool's lanes: a worker there may take more than before."""
        for lane in pool.lanes.values():
            self._mark_dirty(lane)

    def touch_action(self, queue: ActionQueue) -> None:
        """Have the next drain look at the lanes where the queue waits: there is more in it than before."""
        for pool in self._pools_of.get(queue.action_id, ()):
            for slot_type in queue.lanes:
                self._mark_dirty(pool.lane(slot_type))

    def has_dirty(self) -> bool:
        """Whether the next drain has to look at any lane."""
        return bool(self._dirty)

    def take_dirty(self) -> Lane:
        """Return the next lane to look at, which is clean from now on; there is one."""
        lane = self._dirty.popleft()
        lane.is_dirty = False
        return lane

    # Parts

    def _mark_dirty(self, lane: Lane) -> None:
        if lane.top and lane.rotation and not lane.is_dirty:
            lane.is_dirty = True
            self._dirty.append(lane)

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
