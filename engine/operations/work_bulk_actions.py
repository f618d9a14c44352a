"""Carries bulk actions on: the next few runs of one, and how far it has come, in one transaction."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.domain.endings import cancelled_by
from engine.operations.cancel_tasks import cancel_tasks
from engine.operations.replay_tasks import replay_tasks
from engine.states import BulkKind
from engine.store import bulk_actions, runs
from engine.store.bulk_actions import Progress
from engine.store.query import Operation, fetch, repeatable

AT_ONCE = 200


@repeatable
def advance_bulk_action(action_id: UUID, now: datetime) -> Operation[bool]:
    """Do the next runs of an action; return whether there may be more.

    It begins where the transaction before it ended, whichever engine's that was. An action that was
    stopped, or that another engine works on, is left alone.
    """
    taken = yield from fetch(bulk_actions.take(action_id))
    if not taken:
        return False
    (action,) = taken
    run_ids = yield from fetch(
        runs.matching(action.tenant_id, action.run_filter, AT_ONCE, before=action.cursor)
    )
    changed = collisions = 0
    if run_ids and action.kind == BulkKind.CANCEL:
        message = cancelled_by("a bulk action")
        done = yield from cancel_tasks(action.tenant_id, run_ids, now, message=message)
        changed = len(done)
    elif run_ids:
        replay = yield from replay_tasks(action.tenant_id, run_ids, now)
        changed, collisions = len(replay.ids), len(replay.refused)
    is_last = len(run_ids) < AT_ONCE
    cursor = run_ids[-1] if run_ids else None
    progress = Progress(cursor, len(run_ids), changed, collisions, is_last)
    yield from fetch(bulk_actions.advance(action_id, progress, now))
    return not is_last


def fail_bulk_action(action_id: UUID, error: str, now: datetime) -> Operation[None]:
    """End an action that cannot go on; what was done stays."""
    yield from fetch(bulk_actions.fail(action_id, error, now))
