"""Where tasks wait: in their action's queue, in a batch's buffer, or for units of a rate limit."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from engine.domain.assignment import Needs, ReadyTask, needs_of, score_of
from engine.domain.rate_limits import Taken
from engine.domain.scheduler.batches import Batches
from engine.domain.scheduler.heads import QueueHeads
from engine.domain.scheduler.limits import RateLimits
from engine.domain.scheduler.queue import ActionQueue


class Waiting(QueueHeads):
    """The part of the scheduler that moves tasks between the places where they wait.

    A task of a batch takes its units of rate limits before it enters its buffer, any other when it is
    assigned.
    """

    def __init__(self, queue_head_limit: int) -> None:
        super().__init__(queue_head_limit)
        self._waiting: dict[int, ReadyTask] = {}
        """Tasks in queues, and those that wait for units."""
        self.batches = Batches()
        self.limits = RateLimits()
        self._buffered: dict[int, tuple[Taken, ...]] = {}
        """What tasks in buffers have taken."""

    def next_at(self) -> float | None:
        """Return when time itself may let somebody go on."""
        moments = (self.limits.next_at(), self.batches.next_flush_at())
        return min((at for at in moments if at is not None), default=None)

    def _put_in_queue(self, task: ReadyTask) -> ActionQueue:
        queue = self._queue(task.action_id)
        dropped = queue.add(task, needs_of(task), score_of(task))
        if dropped is not task:
            self._waiting[task.id.int] = task
            if dropped is not None:
                del self._waiting[dropped.id.int]
        return queue

    def _leave_queue(self, task: ReadyTask) -> None:
        queue = self._queues[task.action_id]
        queue.remove(needs_of(task), score_of(task))
        self._sync(queue)

    def _note_changed(self, queues: Iterable[ActionQueue]) -> None:
        for queue in queues:
            self._sync(queue)
            self._touch_action(queue)

    def _stop_waiting(self, key: int) -> bool:
        """Take a task from wherever it waits, and give back what it has taken; False if it does not wait."""
        self.batches.drop(key)
        self.limits.give_back(self._buffered.pop(key, ()))
        task = self._waiting.pop(key, None)
        if task is None:
            return False
        if not (task.limits and self.limits.forget(key)):
            self._leave_queue(task)
        return True

    # Batches

    def _call_batches(self, now: float) -> None:
        """Have the buffers that are due, and only those, call for a worker."""
        calls = self.batches.call(now)
        if calls is None:
            return
        for caller in calls.leaving:
            self._leave_queue(self._waiting.pop(caller.id.int))
        for caller in calls.entering:
            queue = self._put_in_queue(caller)
            self._sync(queue)
            self._touch_action(queue)

    def _taken_by(self, items: Iterable[ReadyTask]) -> dict[UUID, tuple[Taken, ...]]:
        """Return, once, what the items of a batch have taken."""
        return {task.id: taken for task in items if (taken := self._buffered.pop(task.id.int, ()))}

    # Rate limits

    def _call_back(self, now: float) -> bool:
        """Let tasks go on for which rate limits have units again; whether that leaves work to do."""
        changed: dict[str, ActionQueue] = {}
        is_buffered = False
        for task in self.limits.settle(now):
            if not task.is_batched:
                queue = changed[task.action_id] = self._queue(task.action_id)
                queue.add(task, needs_of(task), score_of(task))
            elif refusal := self.limits.refusal(task.limits, now):
                self.limits.park(task, refusal)
            else:
                del self._waiting[task.id.int]
                self._buffered[task.id.int] = self.limits.take(task, now)
                self.batches.arrive(task)
                is_buffered = True
        if changed:
            self._note_changed(changed.values())
        if is_buffered:
            self._call_batches(now)
        return bool(self._dirty)

    def _park_limited(self, queue: ActionQueue, needs: Needs, now: float) -> bool:
        """Let tasks which their rate limits refuse wait elsewhere; whether a line has one that may go."""
        has_parked = False
        while task := queue.best(needs):
            limits = () if task.is_batched else task.due_limits
            refusal = self.limits.refusal(limits, now) if limits else None
            if refusal is None:
                break
            queue.take_best(needs)
            self.limits.park(task, refusal)
            has_parked = True
        if has_parked:
            self._sync(queue)
        return task is not None

    def _take_units(self, task: ReadyTask, now: float) -> dict[UUID, tuple[Taken, ...]]:
        return {task.id: taken} if (taken := self.limits.take(task, now)) else NOTHING


NOTHING: dict[UUID, tuple[Taken, ...]] = {}
