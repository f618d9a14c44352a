"""The head of one action's queue: the best waiting tasks in memory, the rest in the database."""

from __future__ import annotations

from bisect import bisect_left, insort

from engine.domain.assignment import Needs, ReadyTask

BEYOND_ALL = 1 << 160
"""A floor above every score: nothing in memory is known to be next."""

WIDENING = 64
"""How many times the usual limit a queue may hold whose head nobody may take."""

Entry = tuple[int, ReadyTask]


class ActionQueue:
    """Waiting tasks of one action, one sorted line for tasks of equal needs, best last.

    `floor` is what memory knows: every queued task with a score of at least `floor` is here. Zero
    means that the database holds nothing else; a task below the floor may not be assigned, because
    a better one may be in the database.
    """

    __slots__ = (
        "action_id",
        "count",
        "dropped",
        "floor",
        "is_hinted",
        "is_unread",
        "lanes",
        "limit",
        "lines",
        "widest",
    )

    def __init__(self, action_id: str, limit: int) -> None:
        self.action_id = action_id
        self.limit = limit
        self.widest = limit * WIDENING
        self.lines: dict[Needs, list[Entry]] = {}
        self.count = 0
        self.floor = 0
        self.dropped = 0
        """The floor that drops alone would make, since the last reading of the database began."""
        self.is_unread = False
        """Another process queued rows which memory has not seen, of whatever rank."""
        self.is_hinted = False
        """The same, and the database was not read since."""
        self.lanes: frozenset[str] = frozenset()
        """Slot types under which pools list this queue now; kept by the machine."""

    def add(self, task: ReadyTask, needs: Needs, score: int) -> ReadyTask | None:
        """Put a task in its place; return the task dropped for it, which may be the task itself.

        Tasks that are kept are never dropped; their number has its own limits.
        """
        dropped = None
        if self.count >= self.limit and not task.is_kept:
            worst_line = min(self.lines, key=self._worst_of)
            worst, dropped = self.lines[worst_line][0]
            goes = score if dropped.is_kept else min(score, worst)
            self.dropped = max(self.dropped, goes + 1)
            self.floor = max(self.floor, self.dropped)
            if score < worst or dropped.is_kept:
                return task
            self._delete(worst_line, 0)
        insort(self.lines.setdefault(needs, []), (score, task))
        self.count += 1
        return dropped

    def remove(self, needs: Needs, score: int) -> None:
        index = bisect_left(self.lines[needs], (score,))
        self._delete(needs, index)

    def best(self, needs: Needs) -> ReadyTask | None:
        """Return the best task of these needs, if it may go."""
        line = self.lines.get(needs)
        return line[-1][1] if line and line[-1][0] >= self.floor else None

    def take_best(self, needs: Needs) -> ReadyTask:
        line = self.lines[needs]
        task = line[-1][1]
        self._delete(needs, len(line) - 1)
        return task

    def ready_needs(self, slot_type: str) -> list[Needs]:
        """Return needs listed under `slot_type` whose best task may go, best first."""
        lines, floor = self.lines, self.floor
        ready = [
            needs
            for needs, line in lines.items()
            if needs.shape[0][0] == slot_type and line[-1][0] >= floor
        ]
        if len(ready) > 1:
            ready.sort(key=lambda needs: -lines[needs][-1][0])
        return ready

    def ready_types(self) -> frozenset[str]:
        """Return the slot types under which some task may go."""
        return frozenset(
            needs.shape[0][0] for needs, line in self.lines.items() if line[-1][0] >= self.floor
        )

    def count_known(self, above: int | None = None, needs: Needs | None = None) -> int:
        """Count tasks with a score of at least `above` (default: the floor), of some needs or all."""
        bound = self.floor if above is None else above
        lines = self.lines.values() if needs is None else [self.lines.get(needs, [])]
        return sum(len(line) - bisect_left(line, (bound,)) for line in lines)

    def widen(self) -> None:
        """Look further into the database, as nobody in a full head finds the worker asked for."""
        is_full = self.floor and self.limit <= self.count and self.limit < self.widest
        if is_full and any(needs.placement is not None for needs in self.lines):
            self.limit *= 2

    def mark_unread(self) -> None:
        """Note that the database may hold tasks of any rank which memory has not seen."""
        self.is_unread = self.is_hinted = True
        self.floor = max(self.floor, self._worst() or BEYOND_ALL)

    def begin_read(self) -> None:
        """Note that the database is read from now on: what it gets later may not be in the answer."""
        self.is_hinted = False
        self.dropped = 0

    def mark_read(self, *, has_more: bool, last: int | None) -> None:
        """Note that everything down to the score `last` is here, or everything if not `has_more`."""
        if not has_more:
            self.floor = 0
        elif last is not None:
            self.floor = last
        else:
            self.floor = self._worst() or BEYOND_ALL
        self.floor = max(self.floor, self.dropped)
        self.is_unread = False
        if self.is_hinted:
            self.mark_unread()

    def _worst_of(self, needs: Needs) -> int:
        return self.lines[needs][0][0]

    def _worst(self) -> int:
        return min((line[0][0] for line in self.lines.values()), default=0)

    def _delete(self, needs: Needs, index: int) -> None:
        line = self.lines[needs]
        del line[index]
        self.count -= 1
        if not line:
            del self.lines[needs]
