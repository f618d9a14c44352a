"""Stages, starts and stops bulk actions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.errors import FailedPrecondition, ResourceExhausted
from engine.states import BulkKind
from engine.store import bulk_actions
from engine.store.query import Operation, fetch
from engine.types import RunFilter

MOST_OPEN = 100
"""Of one tenant."""


def stage_bulk_action(
    tenant_id: UUID,
    action_id: UUID,
    kind: BulkKind,
    run_filter: RunFilter,
    *,
    total: int,
    now: datetime,
) -> Operation[None]:
    """Write down what is to be done with the runs of a filter, which bounds their time on both sides."""
    (number,) = yield from fetch(bulk_actions.open_number(tenant_id))
    if number >= MOST_OPEN:
        raise ResourceExhausted(
            f"{number} bulk actions are staged or running; stop some of them, or wait"
        )
    yield from fetch(
        bulk_actions.stage(action_id, tenant_id, kind, run_filter, total=total, now=now)
    )


def start_bulk_action(tenant_id: UUID, action_id: UUID, now: datetime) -> Operation[None]:
    """Start an action, or have it go on. FailedPrecondition: it runs already, or has ended."""
    if not (yield from fetch(bulk_actions.start(tenant_id, action_id, now))):
        raise FailedPrecondition("only what is staged or was stopped can be started")


def stop_bulk_action(tenant_id: UUID, action_id: UUID, now: datetime) -> Operation[None]:
    """Stop an action; what was done stays. FailedPrecondition: it was stopped already, or has ended."""
    if not (yield from fetch(bulk_actions.stop(tenant_id, action_id, now))):
        raise FailedPrecondition("only what is staged or running can be stopped")
