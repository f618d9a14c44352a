"""Starts what new waits of durable tasks wait for; some are over at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from engine.domain.cel.answers import asking_for
from engine.domain.durable.calls import Node
from engine.domain.durable.waits import Met, holds, is_over, result_of
from engine.ids import id_at
from engine.operations.durable.locked_logs import Logs
from engine.store import durable_waits, ended_waits
from engine.store.changes import Changes
from engine.store.durable_waits import LookBack, NewWait
from engine.store.ended_waits import EndedByEvent
from engine.store.query import Operation, Query, fetch

_EVENTS_AT_ONCE = 50
_LONGEST_LOOK_BACK = timedelta(days=366)
_CLOCKS_APART = timedelta(minutes=1)
"""Events get their ids a little before the moment they are said to have been seen."""
_LAST_ID = UUID(int=(1 << 128) - 1)


def begin_waits(waits: Sequence[NewWait], logs: Logs, now: datetime) -> Operation[list[Query[Any]]]:
    """Complete the entries whose waits are over at once; return what registers the others."""
    if not waits:
        return []
    waits = yield from _look_back([_elapse(wait) for wait in waits], now)
    of_entry: dict[tuple[UUID, Node], list[NewWait]] = defaultdict(list)
    for wait in waits:
        of_entry[wait.task_id, wait.node].append(wait)
    open_waits: list[NewWait] = []
    for (task_id, node), listed in of_entry.items():
        met = [_met(wait) for wait in listed]
        if is_over(met):
            logs[task_id].log.satisfy(node, result_of(met))
        else:
            open_waits += listed
    along: list[Query[Any]] = []
    if ended := [
        EndedByEvent(
            wait.tenant_id,
            wait.event_id,
            logs[wait.task_id].task.run_id,
            wait.task_id,
            wait.node,
            wait.ordinal,
        )
        for wait in waits
        if wait.event_id is not None
    ]:
        along.append(ended_waits.insert(ended, now))
    if not open_waits:
        return along
    sleepers = {
        wait.tenant_id
        for wait in open_waits
        if wait.condition.seconds is not None and not wait.is_met
    }
    if sleepers:
        yield Changes(sleeps_of=sleepers, wakes_clock=True)
    return [*along, durable_waits.insert(open_waits, now)]


def _elapse(wait: NewWait) -> NewWait:
    seconds = wait.condition.seconds
    return wait._replace(is_met=True) if seconds is not None and seconds <= 0 else wait


def _met(wait: NewWait) -> Met:
    condition = wait.condition
    return Met(
        condition.group,
        condition.is_event,
        condition.source,
        condition.data_key,
        wait.is_met,
        wait.payload,
    )


def _look_back(waits: Sequence[NewWait], now: datetime) -> Operation[list[NewWait]]:
    """Let the newest event that fits meet each condition that counts what was pushed before."""
    found = list(waits)
    searches = [
        _search(number, wait, now)
        for number, wait in enumerate(waits)
        if wait.condition.since is not None and not wait.is_met
    ]
    while searches:
        rows = yield from fetch(durable_waits.look_back(searches))
        seen: dict[int, list[UUID]] = defaultdict(list)
        for row in rows:
            seen[row.number].append(row.event_id)
            wait = found[row.number]
            payload = row.payload or b"{}"
            asking_for(wait.tenant_id)
            if not wait.is_met and holds(wait.condition.expression, payload):
                found[row.number] = wait._replace(
                    is_met=True, payload=payload, event_id=row.event_id
                )
        searches = [
            search._replace(before_id=seen[search.number][-1])
            for search in searches
            if not found[search.number].is_met and len(seen[search.number]) == search.limit
        ]
    return found


def _search(number: int, wait: NewWait, now: datetime) -> LookBack:
    condition = wait.condition
    assert condition.since is not None
    assert condition.scope is not None
    since = max(condition.since, now - _LONGEST_LOOK_BACK)
    return LookBack(
        number,
        wait.tenant_id,
        condition.source,
        condition.scope,
        since,
        id_at(since - _CLOCKS_APART),
        _LAST_ID,
        _EVENTS_AT_ONCE if condition.expression.strip() else 1,
    )
