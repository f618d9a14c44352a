"""Removes the rows of deleted tenants, some at a time; the tenants themselves go last."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.operations import app_tables
from engine.operations.parts.remove_runs import remove_runs
from engine.store import deleted_tenants
from engine.store.query import Operation, fetch, fetch_all

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
        yield from remove_runs(run_ids)
        return True
    event_ids = yield from fetch(deleted_tenants.remove_events(batch))
    if event_ids:
        yield from fetch_all(*app_tables.of_events(event_ids))
        return True
    if (yield from fetch(deleted_tenants.remove_numerous(batch))):
        return True
    tenant_ids = yield from fetch(deleted_tenants.emptied(now - KEPT))
    if tenant_ids:
        yield from fetch_all(*app_tables.of_tenants(tenant_ids))
        yield from fetch(deleted_tenants.remove(tenant_ids))
    return False
