"""What workers report, in batches."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from engine.errors import InvalidArgument
from engine.operations.report_tasks import report_tasks
from engine.runtime.aftermath import Aftermath
from engine.runtime.batcher import Batcher
from engine.runtime.event_notes import EventNotes
from engine.runtime.scheduler.owner import TenantOwner
from engine.store.async_db import AsyncDatabase
from engine.types import ReportKind, TaskReport

_REMEMBERED_STARTS = 20_000


class Reporting:
    """Takes reports one by one, writes them together, answers each when it is durable."""

    def __init__(
        self,
        database: AsyncDatabase,
        aftermath: Aftermath,
        notes: EventNotes,
        *,
        owners: dict[UUID, TenantOwner],
        on_outage: Callable[[], None],
    ) -> None:
        self._database, self._aftermath, self._notes = database, aftermath, notes
        self._owners = owners
        self._started: OrderedDict[tuple[UUID, UUID, int], None] = OrderedDict()
        self.batcher: Batcher[TaskReport, None] = Batcher(
            "reports", self._flush, on_outage=on_outage
        )

    async def report(self, report: TaskReport) -> None:
        """Return once the report is durable. InvalidArgument if the tenant has no such task."""
        if report.kind is ReportKind.ACKNOWLEDGED or self._is_repeated_start(report):
            return
        try:
            await self.batcher.submit(report, size=len(report.payload))
        except BaseException:
            self._forget_start(report)
            raise

    def _is_repeated_start(self, report: TaskReport) -> bool:
        """SDKs send STARTED twice; the second one is not worth a row look-up."""
        if report.kind is not ReportKind.STARTED or report.retry_count is None:
            return False
        key = (report.tenant_id, report.task_id, report.retry_count)
        if key in self._started:
            return True
        self._started[key] = None
        if len(self._started) > _REMEMBERED_STARTS:
            self._started.popitem(last=False)
        return False

    def _forget_start(self, report: TaskReport) -> None:
        """It was not recorded, so that the same report again is no repetition."""
        if report.kind is ReportKind.STARTED and report.retry_count is not None:
            self._started.pop((report.tenant_id, report.task_id, report.retry_count), None)

    async def _flush(self, reports: Sequence[TaskReport]) -> list[Exception | None]:
        sent = self._notes.take_sent()
        try:
            done = await self._database.run(report_tasks(reports, datetime.now(UTC), sent))
        except BaseException:
            self._notes.put_back(sent)
            raise
        for report in reports:
            if report.task_id in done.started and (owner := self._owners.get(report.tenant_id)):
                owner.acknowledge(report.task_id)
        self._aftermath.apply(done.changes)
        return [
            InvalidArgument(f"unknown task {report.task_id}")
            if (report.task_id, report.tenant_id) in done.unknown
            else None
            for report in reports
        ]
