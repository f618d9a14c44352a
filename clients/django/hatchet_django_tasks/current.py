"""Which run the code at hand is part of, for logs."""

from __future__ import annotations

import logging
from contextvars import ContextVar

run_id: ContextVar[str] = ContextVar("hatchet_run_id", default="")
"""Empty outside a task."""


class RunIdFilter(logging.Filter):
    """Gives each record `hatchet_run_id`, for formats of logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.hatchet_run_id = run_id.get()
        return True
