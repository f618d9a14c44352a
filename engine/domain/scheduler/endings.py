"""What ended while the rows of those who wait in groups were read."""

from __future__ import annotations

from uuid import UUID

from engine.domain.assignment import ReadyTask


class Endings:
    """What ended while rows were read: it may still be in the answer."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[int, int] | None = None
        """The last retry count of tasks, and the last arrival of runs."""

    def watch(self) -> None:
        self._last = {}

    def forget(self) -> None:
        self._last = None

    def note(self, task_or_run: UUID, number: int) -> None:
        if self._last is not None:
            key = task_or_run.int
            self._last[key] = max(number, self._last.get(key, -1))

    def cover(self, task: ReadyTask) -> bool:
        """Whether this attempt, or its run, ended since the reading began."""
        if not self._last:
            return False
        run = task.claims.run if task.claims is not None else None
        return self._last.get(task.id.int, -1) >= task.retry_count or (
            run is not None and self._last.get(run.id, -1) >= run.arrival
        )
