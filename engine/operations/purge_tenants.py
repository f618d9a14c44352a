"""Removes the rows of deleted tenants, some at a time; the tenants themselves go last."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.store import deleted_tenants
from engine.store.query import Operation, fetch

BATCH = 100
KEPT = timedelta(minutes=10)
"""Longer than any engine remembers a token, and than any transaction with it lasts."""


def purge_tenants(now: datetime, batch: int = BATCH) -> Operation[bool]:
    """Remove what comes next; True: there may be more.

    First the keys of what is encrypted: the rest is unreadable then. Runs go before the definitions that
    clocks and reports of their tasks need.
    """
    yield from fetch(deleted_tenants.remove_keys())
    run_ids = yield from fetch(deleted_tenants.lock_runs(batch))
    if run_ids:
        task_ids = yield from fetch(deleted_tenants.lock_tasks(sorted(run_ids)))
        yield from fetch(deleted_tenants.remove_runs(run_ids, task_ids))
        return True
    if (yield from fetch(deleted_tenants.remove_events(batch))):
        return True
    if (yield from fetch(deleted_tenants.remove_numerous(batch))):
        return True
    tenant_ids = yield from fetch(deleted_tenants.emptied(now - KEPT))
    if tenant_ids:
        yield from fetch(deleted_tenants.remove(tenant_ids))
    return False
