"""Removes runs that are locked already, with all that is kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from engine.store import deleted_tenants
from engine.store.query import Operation, fetch


def remove_runs(run_ids: Sequence[UUID]) -> Operation[None]:
    """Lock the tasks of these runs, which are locked in the order of their ids, and remove both."""
    task_ids = yield from fetch(deleted_tenants.lock_tasks(sorted(run_ids)))
    yield from fetch(deleted_tenants.remove_runs(run_ids, task_ids))
