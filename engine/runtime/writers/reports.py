"""What workers report, in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from engine.errors import InvalidArgument
from engine.operations.report_tasks import report_tasks
from engine.runtime.loops.batcher import Batcher
from engine.runtime.writers.event_notes import EventNotes
from engine.runtime.writers.large_payloads import keep_large
from engine.runtime.writers.starts import Starts
from engine.states import PayloadKind
from engine.store import sealing
from engine.store.async_db import AsyncDatabase
from engine.store.sealed_columns import Payload
from engine.types import ReportKind, TaskReport


class Reports:
    """Takes reports one by one, writes them together, answers each when it is durable."""

    def __init__(
        self,
        database: AsyncDatabase,
        starts: Starts,
        notes: EventNotes,
        *,
        on_outage: Callable[[], None],
    ) -> None:
        self._database, self._starts, self._notes = database, starts, notes
        self.batcher: Batcher[TaskReport, None] = Batcher(
            "reports",
            self._flush,
            on_outage=on_outage,
            tenant_of=lambda report: report.tenant_id,
        )

    async def report(self, report: TaskReport) -> None:
        """Return once the report is durable. InvalidArgument if the tenant has no such task."""
        if self._starts.is_repeated(report):
            return
        try:
            if (sealer := sealing.sealer()) is not None:
                await keep_large(sealer, _outputs([report]))
            await self.batcher.submit(report, size=len(report.payload))
        except BaseException:
            if report.kind is ReportKind.STARTED:
                self._starts.forget(report.tenant_id, report.task_id)
            raise

    async def report_batch(self, reports: Sequence[TaskReport]) -> None:
        """Return once all are durable. Tasks nobody knows are skipped."""
        if (sealer := sealing.sealer()) is not None:
            await keep_large(sealer, _outputs(reports))
        answers = [self.batcher.put(report, size=len(report.payload)) for report in reports]
        for outcome in await asyncio.gather(*answers, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, InvalidArgument):
                raise outcome

    async def _flush(self, reports: Sequence[TaskReport]) -> list[Exception | None]:
        sent = self._notes.take_sent()
        try:
            unknown = await self._database.run(report_tasks(reports, datetime.now(UTC), sent))
        except BaseException:
            self._notes.put_back(sent)
            raise
        return [
            InvalidArgument(f"unknown task {report.task_id}")
            if (report.task_id, report.tenant_id) in unknown
            else None
            for report in reports
        ]


def _outputs(reports: Sequence[TaskReport]) -> list[Payload]:
    return [
        Payload(report.tenant_id, report.payload, report.task_id, PayloadKind.OUTPUT)
        for report in reports
        if report.kind is ReportKind.COMPLETED
    ]
