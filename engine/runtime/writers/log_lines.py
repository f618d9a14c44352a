"""Writes the lines tasks log, many in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from engine.errors import InvalidArgument
from engine.ids import new_id
from engine.runtime.loops.batcher import Batcher
from engine.store import log_lines
from engine.store.async_db import AsyncDatabase
from engine.types import LogInput


class LogLines:
    """A batcher of log lines; a line of an unknown task fails alone."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self.batcher: Batcher[LogInput, None] = Batcher("logs", self._flush)

    async def append(self, line: LogInput) -> None:
        await self.batcher.submit(line, size=len(line.message))

    async def _flush(self, lines: Sequence[LogInput]) -> list[Exception | None]:
        ids = [new_id() for _ in lines]
        query = log_lines.insert(ids, lines, datetime.now(UTC))
        written = set(await self._database.fetch(query))
        return [
            None if line_id in written else InvalidArgument(f"unknown task {line.task_id}")
            for line_id, line in zip(ids, lines, strict=True)
        ]
