"""The workers of one tenant: what is known of them, their slots, and who holds those."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from engine.domain.assignment import ANY_SLOT, UNLIMITED, ReadyTask, Shape, shape_of
from engine.domain.scheduler.batches import Batches
from engine.domain.scheduler.pools import PooledWorker
from engine.domain.scheduler.turns import Pools


class Workers:
    """Everything about workers, nothing about who waits for them.

    Slots are taken from a worker that `pools` chose. Those of a running batch are held by one item
    of it: `batches` says by which.
    """

    def __init__(self, pools: Pools, batches: Batches) -> None:
        self._pools, self._batches = pools, batches
        self._workers: dict[UUID, PooledWorker] = {}
        self._running: dict[int, PooledWorker] = {}

    # What happened

    def upsert(
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
            worker = self._workers[worker_id] = self._pools.add(worker_id, actions)
        else:
            self._pools.move(worker, actions)
        worker.capacity = dict(slots)
        worker.free = {**slots, ANY_SLOT: UNLIMITED}
        for task in worker.running.values():
            for slot_type, units in shape_of(task.slots):
                worker.pool.change_free(worker, slot_type, -units)
        worker.is_active = is_active
        worker.is_paused, worker.is_stalled = is_paused, is_stalled
        worker.last_heartbeat = last_heartbeat
        self._pools.relist(worker)

    def set_labels(self, worker_id: UUID, labels: Mapping[str, str | int]) -> None:
        """Replace a worker's labels; nothing happens if it is not known."""
        if worker := self._workers.get(worker_id):
            worker.labels = dict(labels)
            self._pools.touch(worker.pool)

    def record_heartbeat(self, worker_id: UUID, now: float) -> None:
        """Note that a worker was alive at `now`; nothing happens if it is not known."""
        if worker := self._workers.get(worker_id):
            worker.last_heartbeat = now
            if not worker.is_listed:
                self._pools.relist(worker)

    def remove(self, worker_id: UUID) -> None:
        """Forget a worker and that tasks run on it."""
        worker = self._workers.pop(worker_id, None)
        if worker is None:
            return
        for key in worker.running:
            self._batches.leave(key)
            del self._running[key]
        self._pools.remove(worker)

    # Slots

    def adopt(self, task: ReadyTask, worker_id: UUID, batch_id: UUID | None) -> None:
        """Note that a task holds slots already, even beyond the worker's capacity, or those of its batch."""
        if batch_id is not None and not self._batches.adopt(batch_id, task):
            task = task._replace(slots={})
        worker = self._workers.get(worker_id)
        if worker is None:
            worker = self._workers[worker_id] = self._pools.add(worker_id, frozenset())
        self.take_slots(worker, task, shape_of(task.slots))

    def take_slots(self, worker: PooledWorker, task: ReadyTask, shape: Shape) -> None:
        """Have a task run on a worker, with slots of this shape."""
        worker.running[task.id.int] = task
        self._running[task.id.int] = worker
        for slot_type, units in shape:
            worker.pool.change_free(worker, slot_type, -units)

    def release(self, task_id: UUID, retry_count: int | None = None) -> bool:
        """Free the slots a task holds because it ended or gave them back; False if it holds none.

        The slots of a batch are free when its last item has ended: until then another item holds them.
        """
        key = task_id.int
        worker = self._running.get(key)
        if worker is None or retry_count not in (None, worker.running[key].retry_count):
            return False
        del self._running[key]
        task = worker.running.pop(key)
        next_holder = self._batches.leave(key)
        if next_holder is None:
            for slot_type, units in shape_of(task.slots):
                worker.pool.change_free(worker, slot_type, units)
        else:
            worker.running[next_holder] = worker.running[next_holder]._replace(slots=task.slots)
        self._pools.touch(worker.pool)
        return True

    # Questions

    def is_running(self, key: int) -> bool:
        """Whether a task, by its id's number, holds slots."""
        return key in self._running

    def running(self, key: int) -> ReadyTask | None:
        """Return a task, by its id's number, as it was assigned, if it holds slots."""
        worker = self._running.get(key)
        return None if worker is None else worker.running[key]

    def task_on(self, task_id: UUID) -> tuple[UUID, ReadyTask] | None:
        """Return the worker whose slots a task holds, and the task as it was assigned."""
        worker = self._running.get(task_id.int)
        return None if worker is None else (worker.id, worker.running[task_id.int])

    def running_on(self, worker_id: UUID) -> list[tuple[UUID, int]]:
        """Return (task id, retry_count) of the tasks which hold slots of the worker."""
        worker = self._workers.get(worker_id)
        return (
            []
            if worker is None
            else [(task.id, task.retry_count) for task in worker.running.values()]
        )

    def running_count(self) -> int:
        return len(self._running)

    def ids(self) -> set[UUID]:
        return set(self._workers)

    def stalled(self) -> list[UUID]:
        return [worker_id for worker_id, worker in self._workers.items() if worker.is_stalled]

    def with_tasks(self) -> list[UUID]:
        """Return the workers whose slots somebody holds."""
        return [worker_id for worker_id, worker in self._workers.items() if worker.running]

    def free_slots(self, worker_id: UUID) -> dict[str, int]:
        """Return free slots by type; negative where more runs than the worker now offers."""
        worker = self._workers.get(worker_id)
        if worker is None:
            return {}
        return {slot_type: free for slot_type, free in worker.free.items() if slot_type != ANY_SLOT}
