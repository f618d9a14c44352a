"""Which heads of queues are in memory, and which are to be read from the database."""

from __future__ import annotations

from engine.domain.assignment import ReadyTask, score_of
from engine.domain.scheduler.queue import ActionQueue
from engine.domain.scheduler.roster import WorkerRoster


class QueueHeads(WorkerRoster):
    """The part of the scheduler that keeps its queues filled from the database's."""

    def __init__(self, queue_head_limit: int) -> None:
        super().__init__()
        self._limit = queue_head_limit
        self._partial: set[str] = set()
        """Actions of whose queue the database may hold more than memory."""

    def wants_refill(self) -> list[str]:
        """Return the actions whose queue should be read again, best `head_limit` rows first.

        Start reading after this call, and end every reading with `mark_refilled` before the next
        call: then what is dropped from memory or hinted at while the caller reads is not lost.
        """
        wanted = [action_id for action_id in self._partial if self._is_low(self._queues[action_id])]
        for action_id in wanted:
            self._queues[action_id].begin_read()
        return wanted

    def is_low(self) -> bool:
        """Whether `wants_refill` would return anything."""
        return any(self._is_low(self._queues[action_id]) for action_id in self._partial)

    def _is_low(self, queue: ActionQueue) -> bool:
        return queue.is_hinted or queue.count_known() * 2 <= queue.limit

    def head_limit(self, action_id: str) -> int:
        """Return how many rows of an action's queue are to be read."""
        queue = self._queues.get(action_id)
        return self._limit if queue is None else queue.limit

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

    def _queue(self, action_id: str) -> ActionQueue:
        queue = self._queues.get(action_id)
        if queue is None:
            queue = self._queues[action_id] = ActionQueue(action_id, self._limit)
        return queue

    def _sync(self, queue: ActionQueue) -> None:
        """Bring rotations and the list of partial queues up to date; forget the queue when empty."""
        self._give_turns(queue)
        if queue.floor:
            self._partial.add(queue.action_id)
            return
        self._partial.discard(queue.action_id)
        if not queue.count:
            self._queues.pop(queue.action_id, None)
