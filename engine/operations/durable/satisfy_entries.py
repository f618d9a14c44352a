"""Completes entries of durable tasks: sleeps that are over, events that came, children that ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from engine.domain.durable.calls import Node
from engine.domain.durable.results import ChildOutcome, ChildTask, outcome_of_child
from engine.domain.durable.waits import Met, holds, is_over, result_of, scope_fits
from engine.domain.payload import reason_of
from engine.operations.durable.locked_logs import (
    Logs,
    OpenLog,
    add_entries,
    at,
    in_parts,
    lock_logs,
    restore,
    write_logs,
)
from engine.operations.expire_tasks import BATCH
from engine.operations.parts.pass_filters import AT_ONCE
from engine.states import Status
from engine.store import durable_entries, durable_waits, ended_waits, runs
from engine.store.changes import Changes
from engine.store.durable_entries import EndedChild
from engine.store.durable_waits import MetWait, OpenWait, WaitState
from engine.store.ended_waits import EndedByEvent
from engine.store.query import Operation, Query, breathe, fetch, fetch_all
from engine.store.runs import ResultRow
from engine.types import EventRecord

CHILDREN_AT_ONCE = 100
"""Their outputs are in memory together."""

TaskNode = tuple[UUID, Node]


def offer_events(
    waits: Sequence[OpenWait],
    events: Sequence[EventRecord],
    now: datetime,
    *,
    is_last: bool = False,
) -> Operation[None]:
    """Let the first event that fits meet each of these conditions.

    `is_last` says that the operation around it asks for nothing more, which saves a round trip.
    """
    events_of: dict[str, list[EventRecord]] = defaultdict(list)
    for event in events:
        events_of[event.key].append(event)
    judged: dict[tuple[UUID, str], bool] = {}
    met: list[MetWait] = []
    for number, wait in enumerate(waits):
        if number % AT_ONCE == AT_ONCE - 1:
            yield from breathe()
        for event in events_of[wait.source]:
            if not scope_fits(wait.scope, event.scope):
                continue
            question = event.event_id, wait.expression
            if question not in judged:
                judged[question] = holds(wait.expression, event.payload)
            if judged[question]:
                met.append(
                    MetWait(wait.task_id, wait.node, wait.ordinal, event.payload, event.event_id)
                )
                break
    yield from _satisfy(met, "an event arrived", now, is_last=is_last)


def expire_durable_sleeps(
    tenant_ids: Sequence[UUID], now: datetime, only: Sequence[OpenWait] | None = None
) -> Operation[int]:
    """End the sleeps of these tenants' durable tasks that are over, or `only` these of them.

    Return how many there were.
    """
    due = (yield from fetch(durable_waits.due(tenant_ids, now, BATCH))) if only is None else only
    met = [MetWait(wait.task_id, wait.node, wait.ordinal) for wait in due]
    yield from _satisfy(met, "a sleep is over", now, is_last=True)
    return len(due)


def _satisfy(
    met: Sequence[MetWait], cause: str, now: datetime, *, is_last: bool
) -> Operation[None]:
    """Satisfy these conditions as far as they are open; complete the entries whose waits are over."""
    if not met:
        return
    logs = yield from lock_logs(wait.task_id for wait in met)
    touched = sorted({(wait.task_id, wait.node) for wait in met if wait.task_id in logs})
    if not touched:
        return
    states, entries = yield from fetch_all(
        durable_waits.of_entries(touched), durable_entries.in_ranges(at(touched))
    )
    add_entries(logs, entries)
    newly_met, waits_of = _judge(met, states)
    over: set[TaskNode] = set()
    changes = Changes()
    results: dict[tuple[Met, ...], bytes] = {}
    """Many wait for the same: what they are told is kept once."""
    for task_id, node in dict.fromkeys((wait.task_id, wait.node) for wait in newly_met):
        conditions = tuple(waits_of[task_id, node].values())
        if is_over(conditions):
            over.add((task_id, node))
            if conditions not in results:
                results[conditions] = result_of(conditions)
            changes.add(_complete(logs[task_id], node, results[conditions], None))
    partly = [wait for wait in newly_met if (wait.task_id, wait.node) not in over]
    owners = {task_id: found.task.tenant_id for task_id, found in logs.items()}
    for part in in_parts(partly, _size):
        yield from fetch(durable_waits.satisfy(part, owners, now))
    tasks = (logs[wait.task_id].task for wait in partly)
    changes.touched |= {(task.tenant_id, task.run_id) for task in tasks}
    yield changes
    along: list[Query[Any]] = [durable_waits.forget(sorted(over))] if over else []
    if ended := [_ended(wait, wait.event_id, logs) for wait in newly_met if wait.event_id]:
        along.append(ended_waits.insert(ended, now))
    asleep = [found for task_id, _ in over if (found := logs[task_id]).is_evicted]
    yield from write_logs(logs, now, *along, is_last=is_last and not asleep)
    yield from restore(asleep, cause, now)


def _ended(wait: MetWait, event_id: UUID, logs: Logs) -> EndedByEvent:
    task = logs[wait.task_id].task
    return EndedByEvent(
        task.tenant_id, event_id, task.run_id, wait.task_id, wait.node, wait.ordinal
    )


def _judge(
    met: Sequence[MetWait], states: Sequence[WaitState]
) -> tuple[list[MetWait], Mapping[TaskNode, Mapping[int, Met]]]:
    """Return which conditions are met only now, and how all conditions of their entries stand then."""
    waits_of: dict[TaskNode, dict[int, Met]] = defaultdict(dict)
    for state in states:
        waits_of[state.task_id, state.node][state.ordinal] = state.met
    newly_met = []
    for wait in met:
        of_entry = waits_of[wait.task_id, wait.node]
        known = of_entry.get(wait.ordinal)
        if known is not None and not known.is_met:
            of_entry[wait.ordinal] = known._replace(is_met=True, payload=wait.payload)
            newly_met.append(wait)
    return newly_met, waits_of


def _size(wait: MetWait) -> int:
    return len(wait.payload or b"")


def _complete(found: OpenLog, node: Node, result: bytes, error: str | None) -> Changes:
    """Give an entry its outcome; return what is to be said of that to whoever waits for it."""
    completion = found.log.satisfy(node, result, error)
    task = found.task
    return Changes(
        touched={(task.tenant_id, task.run_id)},
        completions=[(task.tenant_id, completion)] if completion is not None else [],
    )


# Children


def complete_children(
    tenant_ids: Sequence[UUID],
    now: datetime,
    only: Sequence[UUID] | None = None,
    *,
    but: Collection[UUID] = (),
) -> Operation[int]:
    """Complete the entries of children of these tenants that ended, or `only` of these runs.

    Not those `but` for which it cannot be done. Return how many there were.
    """
    ended = yield from fetch(
        durable_entries.take_ended(tenant_ids, CHILDREN_AT_ONCE, but)
        if only is None
        else durable_entries.take_ended_of(only)
    )
    if not ended:
        return 0
    logs = yield from lock_logs(child.task_id for child in ended)
    found = yield from fetch(durable_entries.of_children(ended))
    add_entries(logs, [(task_id, entry) for task_id, entry in found if task_id in logs])
    outcomes = yield from _outcomes(ended)
    changes, restored = Changes(), list[OpenLog]()
    for task_id, entry in found:
        outcome = outcomes.get(entry.child_run_id) if entry.child_run_id else None
        if outcome is None or task_id not in logs:
            continue  # it was replayed meanwhile, and will end again
        changes.add(_complete(logs[task_id], entry.node, outcome.result, outcome.error))
        if logs[task_id].log.state.is_active(entry.node):
            restored.append(logs[task_id])
    yield changes
    yield from write_logs(logs, now)
    yield from restore(restored, "a child run ended", now)
    return len(ended)


def _outcomes(ended: Sequence[EndedChild]) -> Operation[Mapping[UUID, ChildOutcome]]:
    """Return what these runs came to; those that are not final are left out."""
    of_tenant: dict[UUID, list[UUID]] = defaultdict(list)
    for child in ended:
        of_tenant[child.tenant_id].append(child.run_id)
    rows_of: dict[UUID, list[ResultRow]] = defaultdict(list)
    for tenant_id, run_ids in of_tenant.items():
        for row in (yield from fetch(runs.results(tenant_id, run_ids, finished_only=True))):
            rows_of[row.run_id].append(row)
    return {
        run_id: outcome_of_child([_child_task(row) for row in rows], Status(rows[0].run_status))
        for run_id, rows in rows_of.items()
    }


def _child_task(row: ResultRow) -> ChildTask:
    if (reason := reason_of(row.output)) is not None:
        return ChildTask(row.readable_id, Status.FAILED, None, reason)
    return ChildTask(
        row.readable_id,
        Status(row.status),
        row.output,
        row.error.decode(errors="replace") if row.error is not None else None,
    )
