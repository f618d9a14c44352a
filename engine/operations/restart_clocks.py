"""Gives attempts that moved on in their concurrency groups a whole schedule timeout again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.operations.parts.versions import load_versions, step_of
from engine.store import queues
from engine.store.query import Operation, fetch


def restart_clocks(moved: Sequence[ReadyTask], now: datetime) -> Operation[list[UUID]]:
    """Start the schedule timeout anew of those that still wait; return them."""
    versions = yield from load_versions(task.version_id for task in moved)
    clocks = [
        (
            task.id,
            task.retry_count,
            step_of(versions[task.version_id], task.step_id).definition.schedule_timeout_seconds,
        )
        for task in moved
        if task.version_id in versions
    ]
    return (yield from fetch(queues.restart_clocks(sorted(clocks), now)))
