"""Which attempts are known to have started: SDKs say so twice."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from engine.types import ReportKind, TaskReport

_REMEMBERED = 20_000


class Starts:
    """The last STARTED reports that passed here; a repeated one is not worth a row look-up."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[UUID, UUID], int] = OrderedDict()

    def is_repeated(self, report: TaskReport) -> bool:
        """Whether this is a STARTED that passed before; from now on it did."""
        if report.kind is not ReportKind.STARTED or report.retry_count is None:
            return False
        key = (report.tenant_id, report.task_id)
        if self._known.get(key) == report.retry_count:
            return True
        self._known[key] = report.retry_count
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return False

    def forget(self, tenant_id: UUID, task_id: UUID) -> None:
        """The next STARTED is no repetition: it was not recorded, or the attempt starts anew."""
        self._known.pop((tenant_id, task_id), None)
