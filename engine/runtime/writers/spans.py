"""Writes the spans that clients send, many exports in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

from engine.domain.spans import NewSpan
from engine.operations.record_spans import record_spans
from engine.runtime.loops.batcher import Batcher
from engine.store.async_db import AsyncDatabase

_MOST_WAITING = 40_000


class Spans:
    """A batcher of exports."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self.batcher: Batcher[Sequence[NewSpan], int] = Batcher(
            "spans", self._flush, max_waiting=_MOST_WAITING
        )

    async def record(self, spans: Sequence[NewSpan]) -> int:
        """Return how many of these spans were of unknown runs."""
        size = sum(span.size for span in spans)
        return await self.batcher.submit(spans, rows=len(spans), size=size)

    async def _flush(self, exports: Sequence[Sequence[NewSpan]]) -> list[int | Exception]:
        kept = iter(await self._database.run(record_spans(list(chain(*exports)))))
        return [sum(not known for known in islice(kept, len(spans))) for spans in exports]
