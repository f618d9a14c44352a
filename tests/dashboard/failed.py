"""Attempts that failed, with the groups that the engine would have counted them into."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.domain.fingerprints import fingerprint_of
from engine.models import ErrorGroup, Task
from engine.operations.group_failures import group_failures
from engine.states import PayloadKind, Status
from engine.store import error_groups, sync_db
from engine.store.error_groups import Failed
from engine.store.query import fetch
from tests.dashboard import factories


def add_failure(task: Task, error: str = "ValueError: boom", attempt: int = 0) -> ErrorGroup:
    """An attempt that failed, counted into its group as the engine would."""
    factories.add_outcome(task, PayloadKind.ERROR, error.encode(), attempt)
    failed = Failed(
        task.tenant_id,
        task.run_id,
        task.id,
        attempt,
        task.workflow_id,
        task.version_id,
        task.action_id,
        task.worker_id,
        is_final=task.status == Status.FAILED,
        fingerprint=fingerprint_of(error, task.action_id),
    )
    now = datetime.now(UTC)
    sync_db.run(fetch(error_groups.note([failed], now)))
    [group] = sync_db.run(group_failures(now)).groups
    return ErrorGroup.objects.get(id=group.id)
