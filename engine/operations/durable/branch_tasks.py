"""Resets a durable task: it runs again from a node on, on a branch of its own."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from engine.domain.durable.calls import SIGNAL_BRANCH
from engine.errors import IdempotencyCollision, InvalidArgument, NotFound
from engine.operations.cancel_tasks import cancel_attempts
from engine.operations.durable.locked_logs import OpenLog, lock_logs
from engine.operations.parts.claim_keys import claim_keys_again
from engine.operations.replay_tasks import replay_tasks
from engine.states import Status
from engine.store import durable_tasks, durable_waits, runs
from engine.store.changes import Changes
from engine.store.query import Operation, fetch, fetch_all


def branch_task(
    tenant_id: UUID, task_id: UUID, node_id: int, branch_id: int, now: datetime
) -> Operation[int]:
    """Run a task again; it keeps the entries before `node_id` as `branch_id` sees them, 0 for its own.

    Return the new branch. An attempt that runs, waits or is evicted is stopped first. NotFound if the
    tenant has no such durable task; InvalidArgument if the branch or node cannot be, or the task belongs
    to a run that is still going and cannot be replayed yet; IdempotencyCollision if another run holds the
    key of its run.
    """
    found = yield from _lock(tenant_id, task_id, now)
    state = found.log.state
    state.fork(branch_id, node_id)
    nodes = yield from fetch(durable_waits.nodes(task_id))
    dropped = [
        (node, not state.is_active(node)) for node in nodes if node.branch_id != SIGNAL_BRANCH
    ]
    yield from fetch_all(
        durable_tasks.save([(task_id, state)]), durable_waits.drop(task_id, dropped)
    )
    if dropped:
        yield Changes(sleeps_of={tenant_id}, wakes_clock=True)
    if not Status(found.task.status).is_final:
        message = f"Stopped: the task is reset to node {node_id}."
        yield from cancel_attempts([(task_id, None)], now, message=message, ends_runs=False)
    replay = yield from replay_tasks(tenant_id, [task_id], now)
    if replay.refused:
        raise IdempotencyCollision(replay.refused)
    if task_id not in replay.ids:
        raise InvalidArgument(f"task {task_id} cannot be reset before its run has come to its end")
    return state.branch_id


def _lock(tenant_id: UUID, task_id: UUID, now: datetime) -> Operation[OpenLog]:
    known = yield from fetch(runs.find_external(tenant_id, [task_id]))
    yield from claim_keys_again([row.run_id for row in known], now)
    if of_dag := sorted({row.run_id for row in known if row.task_id is not None}):
        yield from fetch(runs.lock(of_dag))
    logs = yield from lock_logs([task_id] if known else [])
    if task_id not in logs:
        raise NotFound(f"durable task {task_id} not found")
    return logs[task_id]
