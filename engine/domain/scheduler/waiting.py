"""Where tasks wait: in their action's queue, in a batch's buffer, or for units of a rate limit."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from engine.domain.assignment import Needs, ReadyTask, needs_of, score_of
from engine.domain.rate_limits import Taken
from engine.domain.scheduler.batches import Batches
from engine.domain.scheduler.limits import RateLimits
from engine.domain.scheduler.queue import ActionQueue
from engine.domain.scheduler.queues import Queues

Units = dict[UUID, tuple[Taken, ...]]
"""Units of rate limits that tasks take, by task; those that take none are left out."""

NO_UNITS: Units = {}


class WaitingTasks:
    """Moves tasks between the places where they wait.

    A task of a batch takes its units of rate limits before it enters its buffer, any other when it is
    assigned. Tasks are named by their ids' numbers.
    """

    def __init__(self, queues: Queues, batches: Batches, limits: RateLimits) -> None:
        self._queues, self._batches, self._limits = queues, batches, limits
        self._tasks: dict[int, ReadyTask] = {}
        """Tasks in queues, and those that wait for units."""
        self._buffered: dict[int, tuple[Taken, ...]] = {}
        """What tasks in buffers have taken."""

    def put(self, task: ReadyTask) -> ActionQueue | None:
        """Have a task wait where its kind waits first; return its queue if that is to be published."""
        if not task.is_batched:
            return self._put_in_queue(task)
        if task.limits:
            self._tasks[task.id.int] = task
            self._limits.arrive(task)
        else:
            self._batches.arrive(task)
        return None

    def stop(self, key: int) -> bool:
        """Take a task from its queue or out of the wait for units, and return whether it was there.

        It leaves its buffer too, and what it has taken is given back.
        """
        self._batches.drop(key)
        self._limits.give_back(self._buffered.pop(key, ()))
        task = self._tasks.pop(key, None)
        if task is None:
            return False
        if not (task.limits and self._limits.forget(key)):
            self._leave_queue(task)
        return True

    # Questions

    def find(self, key: int) -> ReadyTask | None:
        """Return the attempt of a task that is in a queue or waits for units."""
        return self._tasks.get(key)

    def tasks(self) -> Iterable[ReadyTask]:
        """Return who is in a queue or waits for units."""
        return self._tasks.values()

    def count(self) -> int:
        return len(self._tasks)

    def next_at(self) -> float | None:
        """Return when time itself may let somebody go on."""
        moments = (self._limits.next_at(), self._batches.next_flush_at())
        return min((at for at in moments if at is not None), default=None)

    # Queues

    def take_best(self, queue: ActionQueue, needs: Needs) -> ReadyTask:
        """Take the best task of these needs out of its queue, to be assigned; there is one."""
        task = queue.take_best(needs).without_turn()
        del self._tasks[task.id.int]
        self._queues.sync(queue)
        return task

    def _put_in_queue(self, task: ReadyTask) -> ActionQueue:
        queue = self._queues.of(task.action_id)
        dropped = queue.add(task, needs_of(task), score_of(task))
        if dropped is not task:
            self._tasks[task.id.int] = task
            if dropped is not None:
                del self._tasks[dropped.id.int]
        return queue

    def _leave_queue(self, task: ReadyTask) -> None:
        queue = self._queues.of(task.action_id)
        queue.remove(needs_of(task), score_of(task))
        self._queues.sync(queue)

    # Batches

    def call_batches(self, now: float) -> None:
        """Have the buffers that are due, and only those, call for a worker."""
        calls = self._batches.call(now)
        if calls is None:
            return
        for caller in calls.leaving:
            self._leave_queue(self._tasks.pop(caller.id.int))
        for caller in calls.entering:
            self._queues.publish((self._put_in_queue(caller),))

    def taken_by(self, items: Iterable[ReadyTask]) -> Units:
        """Return, once, what the items of a batch have taken."""
        return {task.id: taken for task in items if (taken := self._buffered.pop(task.id.int, ()))}

    # Rate limits

    def call_back(self, now: float) -> bool:
        """Let tasks go on for which rate limits have units again; whether there are any."""
        changed: dict[str, ActionQueue] = {}
        is_buffered = False
        for task in self._limits.settle(now):
            if not task.is_batched:
                queue = changed[task.action_id] = self._queues.of(task.action_id)
                queue.add(task, needs_of(task), score_of(task))
            elif refusal := self._limits.refusal(task.limits, now):
                self._limits.park(task, refusal)
            else:
                del self._tasks[task.id.int]
                self._buffered[task.id.int] = self._limits.take(task, now)
                self._batches.arrive(task)
                is_buffered = True
        if changed:
            self._queues.publish(changed.values())
        if is_buffered:
            self.call_batches(now)
        return bool(changed) or is_buffered

    def park_limited(self, queue: ActionQueue, needs: Needs, now: float) -> bool:
        """Let tasks which their rate limits refuse wait elsewhere; whether a line has one that may go."""
        has_parked = False
        while task := queue.best(needs):
            limits = () if task.is_batched else task.due_limits
            refusal = self._limits.refusal(limits, now) if limits else None
            if refusal is None:
                break
            queue.take_best(needs)
            self._limits.park(task, refusal)
            has_parked = True
        if has_parked:
            self._queues.sync(queue)
        return task is not None

    def take_units(self, task: ReadyTask, now: float) -> Units:
        """Take the units of a task that is assigned by itself."""
        return {task.id: taken} if (taken := self._limits.take(task, now)) else NO_UNITS
