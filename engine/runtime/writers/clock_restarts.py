"""Writes down, in batches, that attempts moved on in their concurrency groups: their clocks start anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from engine.domain.assignment import ReadyTask
from engine.operations.restart_clocks import restart_clocks
from engine.runtime.loops.batcher import Batcher
from engine.store.async_db import AsyncDatabase


class ClockRestarts:
    """What is lost here, because the database is away, only times out earlier than it might."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self.batcher: Batcher[ReadyTask, None] = Batcher(
            "clock restarts", self._flush, max_waiting=1_000_000
        )

    def restart(self, moved: Sequence[ReadyTask]) -> None:
        for task in moved:
            self.batcher.put(task)

    async def _flush(self, moved: Sequence[ReadyTask]) -> list[None]:
        await self._database.run(restart_clocks(moved, datetime.now(UTC)))
        return [None] * len(moved)
