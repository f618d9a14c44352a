"""Which heads of queues are in memory, and which are to be read from the database."""

from __future__ import annotations

from collections.abc import Iterable

from engine.domain.assignment import ReadyTask, score_of
from engine.domain.scheduler.queue import ActionQueue
from engine.domain.scheduler.turns import Pools


class Queues:
    """The queues of all actions for which tasks wait, kept filled from the database's.

    Who changes a queue says so with `sync`, so that it has its turns at the `pools`; who puts tasks
    into it calls `publish`.
    """

    def __init__(self, pools: Pools, head_limit: int) -> None:
        self._pools, self._limit = pools, head_limit
        self._queues: dict[str, ActionQueue] = {}
        self._partial: set[str] = set()
        """Actions of whose queue the database may hold more than memory."""

    def get(self, action_id: str) -> ActionQueue | None:
        """Return an action's queue if anybody waits in it, here or in the database."""
        return self._queues.get(action_id)

    def of(self, action_id: str) -> ActionQueue:
        """Return an action's queue, a new one if there is none: something is to be put into it."""
        queue = self._queues.get(action_id)
        if queue is None:
            queue = self._queues[action_id] = ActionQueue(action_id, self._limit)
        return queue

    def sync(self, queue: ActionQueue) -> None:
        """Bring turns and the list of partial queues up to date; forget the queue when empty."""
        self._pools.give_turns(queue)
        if queue.floor:
            self._partial.add(queue.action_id)
            return
        self._partial.discard(queue.action_id)
        if not queue.count:
            self._queues.pop(queue.action_id, None)

    def publish(self, queues: Iterable[ActionQueue]) -> None:
        """Have the next drain look at queues into which tasks were put."""
        for queue in queues:
            self.sync(queue)
            self._pools.touch_action(queue)

    # Reading heads

    def wants_refill(self) -> list[str]:
        """Return the actions whose queue should be read again, best `head_limit` rows first.

        Start reading after this call, and end every reading with `mark_refilled` before the next
        call: then what is dropped from memory or hinted at while the caller reads is not lost.
        """
        wanted = [action_id for action_id in self._partial if _is_low(self._queues[action_id])]
        for action_id in wanted:
            self._queues[action_id].begin_read()
        return wanted

    def is_low(self) -> bool:
        """Whether `wants_refill` would return anything."""
        return any(_is_low(self._queues[action_id]) for action_id in self._partial)

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
        queue = self.of(action_id)
        queue.mark_read(has_more=has_more, last=None if last is None else score_of(last))
        self.publish((queue,))

    def mark_has_more(self, action_id: str) -> None:
        """Note that another process queued rows of this action, of whatever rank."""
        queue = self.of(action_id)
        queue.mark_unread()
        self.sync(queue)


def _is_low(queue: ActionQueue) -> bool:
    return queue.is_hinted or queue.count_known() * 2 <= queue.limit
