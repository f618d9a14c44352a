"""Tells other processes what an operation changed, from within its transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar
from uuid import UUID

from engine.operations.changes import Changes
from engine.store.hints import ENGINE_CHANNEL, LIVE_CHANNEL, Hint, live_message, notify
from engine.store.query import Operation, Repeatable, called, fetch, name_of

Result = TypeVar("Result")

MAX_NAMED_TASKS = 600


def hints_of(changes: Changes) -> list[Hint]:
    """Return what engines should know of these changes, one hint a tenant."""
    hints = _Hints()
    for tenant_id, task in (*changes.ready, *changes.resting):
        hints[tenant_id].ready.append(task.id)
    for end in changes.ended:
        hints[end.tenant_id].ended.append((end.task_id, end.retry_count))
        if end.stop_on:
            hints[end.tenant_id].stops.append((end.stop_on, end.task_id, end.retry_count))
    for left in changes.left:
        hints[left.tenant_id].left.append((left.run_id, left.arrival))
    for run in changes.finished:
        hints[run.tenant_id].finished.append(run.run_id)
        if run.wakes_parent:
            hints[run.tenant_id].is_children = True
    for tenant_id in changes.sleeps_of:
        hints[tenant_id].is_backlog = True
    _add_durable(hints, changes)
    for found in hints.values():
        if len(found.ready) > MAX_NAMED_TASKS:
            found.ready, found.is_backlog = [], True
    return list(hints.values())


class _Hints(dict[UUID, Hint]):
    """One hint a tenant, made when it is asked for."""

    def __missing__(self, tenant_id: UUID) -> Hint:
        hint = self[tenant_id] = Hint(tenant_id)
        return hint


def _add_durable(hints: _Hints, changes: Changes) -> None:
    for tenant_id, task_id, retry_count in changes.evicted:
        hints[tenant_id].released.append((task_id, retry_count))
    for tenant_id, task_id in dict.fromkeys((t, c.task_id) for t, c in changes.completions):
        hints[tenant_id].durable.append(task_id)


def announce(changes: Changes) -> Operation[None]:
    """Notify engines and open dashboards; the notifications leave when the transaction commits."""
    messages = [
        (ENGINE_CHANNEL, message.decode())
        for hint in hints_of(changes)
        for message in hint.messages()
    ]
    touched: dict[UUID, list[UUID]] = defaultdict(list)
    for tenant_id, run_id in sorted(changes.touched):
        touched[tenant_id].append(run_id)
    messages += [
        (LIVE_CHANNEL, live_message(tenant_id, run_ids, ["runs"]))
        for tenant_id, run_ids in touched.items()
    ]
    if messages:
        yield from fetch(notify(messages))


def announced(operation: Operation[tuple[Result, Changes]]) -> Operation[Result]:
    """Run an operation that returns (result, changes), announce the changes, return the result.

    This is how processes without a scheduler (web, commands, applications) call operations.
    """
    if isinstance(operation, Repeatable):
        return Repeatable(lambda: _announced(operation), name_of(operation))
    return called(name_of(operation), _announced(operation))


def _announced(operation: Operation[tuple[Result, Changes]]) -> Operation[Result]:
    result, changes = yield from operation
    yield from announce(changes)
    return result


def announce_timetable(tenant_id: UUID, *topics: str) -> Operation[None]:
    """Say that crons or schedules were set: engines look when they are due next."""
    hint = Hint(tenant_id, is_timetable=True)
    messages = [(ENGINE_CHANNEL, message.decode()) for message in hint.messages()]
    messages.append((LIVE_CHANNEL, live_message(tenant_id, [], topics)))
    yield from fetch(notify(messages))


def announce_rate_limit(tenant_id: UUID, key: str) -> Operation[None]:
    """Say that a rate limit was set, paused or deleted."""
    hint = Hint(tenant_id, limits=[key])
    messages = [(ENGINE_CHANNEL, message.decode()) for message in hint.messages()]
    messages.append((LIVE_CHANNEL, live_message(tenant_id, [], ["rate-limits"])))
    yield from fetch(notify(messages))


def announce_catalog(tenant_id: UUID, sender: UUID | None = None) -> Operation[None]:
    """Say that workflows were registered or deleted."""
    hint = Hint(tenant_id, sender, is_catalog=True)
    messages = [(ENGINE_CHANNEL, message.decode()) for message in hint.messages()]
    messages.append((LIVE_CHANNEL, live_message(tenant_id, [], ["workflows"])))
    yield from fetch(notify(messages))
