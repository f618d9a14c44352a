"""Workers with equal action sets share a pool; a pool has a lane for each slot type.

A lane knows its workers with free slots, most free first, and whose turn it is among the waiting actions.
That makes finding a worker, and finding who may use a freed slot, independent of how many there are.
"""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from engine.domain.assignment import (
    ANY_SLOT,
    Needs,
    Obstacle,
    ReadyTask,
    WorkerState,
    find_obstacle,
    rank_of,
)
from engine.domain.scheduler.queue import ActionQueue


class PooledWorker(WorkerState):
    """A worker, its pool, and the tasks which hold its slots. `is_listed`: its pool's lanes offer it."""

    __slots__ = ("is_listed", "pool", "running")

    def __init__(self, worker_id: UUID, pool: Pool) -> None:
        super().__init__(worker_id)
        self.pool = pool
        pool.workers[worker_id] = self
        self.running: dict[int, ReadyTask] = {}
        self.is_listed = False


class Lane:
    """One slot type of a pool: free workers by level of free slots, and the turns of waiting actions."""

    __slots__ = ("is_dirty", "levels", "rotation", "slot_type", "top")

    def __init__(self, slot_type: str) -> None:
        self.slot_type = slot_type
        self.levels: dict[int, OrderedDict[PooledWorker, None]] = {}
        self.top = 0
        """The highest level with a worker; 0 means that no slot is free."""
        self.rotation: OrderedDict[ActionQueue, None] = OrderedDict()
        self.is_dirty = False

    def put(self, worker: PooledWorker, free: int) -> None:
        if free <= 0:
            return
        level = self.levels.get(free)
        if level is None:
            level = self.levels[free] = OrderedDict()
        level[worker] = None
        self.top = max(self.top, free)

    def drop(self, worker: PooledWorker, free: int) -> None:
        level = self.levels.get(free)
        if level is None or worker not in level:
            return
        del level[worker]
        if not level:
            del self.levels[free]
            if free == self.top:
                self.top = max(self.levels, default=0)

    def choose(self, needs: Needs, now: float, stale: list[PooledWorker]) -> PooledWorker | None:
        """Return the worker with the most free slots which may take the task; collect the stale ones seen.

        With a placement, the worker which fits it best. Those of one level take turns: a worker that
        takes or frees a slot joins another level's end.
        """
        if self.top == 0 or self.top < needs.shape[0][1]:
            return None
        best: PooledWorker | None = None
        for free in (self.top,) if len(self.levels) == 1 else sorted(self.levels, reverse=True):
            for worker in self.levels[free]:
                obstacle = find_obstacle(worker, needs, now)
                if obstacle is None:
                    if needs.placement is None:
                        return worker
                    if best is None or rank_of(worker, needs) > rank_of(best, needs):
                        best = worker
                elif obstacle is Obstacle.WORKERS_STALE:
                    stale.append(worker)
        return best


class Pool:
    """Workers which registered the same set of actions."""

    __slots__ = ("actions", "lanes", "workers")

    def __init__(self, actions: frozenset[str]) -> None:
        self.actions = actions
        self.workers: dict[UUID, PooledWorker] = {}
        self.lanes: dict[str, Lane] = {}

    def lane(self, slot_type: str) -> Lane:
        lane = self.lanes.get(slot_type)
        if lane is None:
            lane = self.lanes[slot_type] = Lane(slot_type)
            for worker in self.workers.values():
                if worker.is_listed:
                    lane.put(worker, worker.free.get(slot_type, 0))
        return lane

    def list_worker(self, worker: PooledWorker) -> None:
        worker.is_listed = True
        for slot_type, free in worker.free.items():
            self.lane(slot_type).put(worker, free)

    def unlist_worker(self, worker: PooledWorker) -> None:
        worker.is_listed = False
        for slot_type, free in worker.free.items():
            self.lane(slot_type).drop(worker, free)

    def change_free(self, worker: PooledWorker, slot_type: str, units: int) -> None:
        """Add `units` (negative: take) to a worker's free slots and move it to its new level."""
        if slot_type == ANY_SLOT:
            units = 0
        old = worker.free.get(slot_type, 0)
        worker.free[slot_type] = new = old + units
        if worker.is_listed:
            lane = self.lane(slot_type)
            lane.drop(worker, old)
            lane.put(worker, new)
