"""Evaluates keys of concurrency groups and rate limits for tasks of runs that exist already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from engine.domain.cel.answers import asking_for
from engine.domain.concurrency import (
    NO_KEYS,
    Keys,
    asks_with_run,
    key_variables,
    make_keys,
    make_run_keys,
)
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.domain.task_keys import keyed_steps, with_limits
from engine.ids import new_id
from engine.store import run_slots, runs
from engine.store.query import Operation, Query, fetch
from engine.store.run_slots import NewRunSlot
from engine.store.run_starts import NewRun
from engine.store.runs import KeyData
from engine.store.tasks import NewTask


def load_key_data(
    version_of: Mapping[UUID, RegisteredVersion],
) -> Operation[Mapping[UUID, KeyData]]:
    """Return what keys are made from, by run, of those of these runs that need keys."""
    wanted = sorted(run_id for run_id, version in version_of.items() if keyed_steps(version))
    if not wanted:
        return {}
    found = {row.run_id: row for row in (yield from fetch(runs.key_data(wanted)))}
    if batched := [run_id for run_id in wanted if _has_batches(version_of[run_id])]:
        for run_id, size in (yield from fetch(runs.outputs_sizes(batched))):
            found[run_id] = found[run_id]._replace(outputs_size=size)
    return found


def _has_batches(version: RegisteredVersion) -> bool:
    return version.definition.is_dag and any(step.definition.batch for step in version.steps)


def keys_from(
    data: KeyData | None,
    version: RegisteredVersion,
    step: RegisteredStep,
    *,
    arrival: UUID,
    before: str | None = None,
) -> Keys:
    """Return a task's keys; `data` is None for runs that need none, `before` what it was stored with."""
    if data is None:
        return NO_KEYS
    asking_for(version.tenant_id)
    run_keys = Keys(data.run_keys)
    if data.run_keys is None and asks_with_run(version, step):
        run_keys = _run_keys(data, version, arrival)
    variables = _variables(data)
    keys = make_keys(
        version,
        step,
        variables,
        priority=data.priority,
        arrival=arrival,
        run_keys=run_keys,
        outputs_size=data.outputs_size,
    )
    return with_limits(keys, step, variables, before)


def ask_for_slots(
    new_runs: Sequence[tuple[NewRun, str | None]], new_tasks: Sequence[NewTask]
) -> list[Query[None]]:
    """Have new runs with keys ask for their slots; those that start at once hold them."""
    started = {task.run_id for task in new_tasks if task.worker_id is not None}
    slots = [
        NewRunSlot(run.id, run.tenant_id, run.version_id, run.id, keys, run.id in started)
        for run, keys in new_runs
        if keys
    ]
    return [run_slots.insert(slots)] if slots else []


def ask_again(
    data: Mapping[UUID, KeyData], version_of: Mapping[UUID, RegisteredVersion]
) -> Operation[Mapping[UUID, KeyData]]:
    """Have those of these runs that hold no slots ask for them anew; return the data with their keys."""
    found = dict(data)
    slots = []
    for run_id, row in data.items():
        version, arrival = version_of[run_id], new_id()
        asking_for(version.tenant_id)
        stored = _run_keys(row, version, arrival).stored if row.run_keys is None else None
        if stored:
            slots.append(NewRunSlot(run_id, version.tenant_id, version.id, arrival, stored))
            found[run_id] = row._replace(run_keys=stored)
    if slots:
        yield from fetch(run_slots.insert(slots))
    return found


def _run_keys(data: KeyData, version: RegisteredVersion, arrival: UUID) -> Keys:
    return make_run_keys(
        version, _variables(data), data.run_id, priority=data.priority, arrival=arrival
    )


def _variables(data: KeyData) -> dict[str, bytes | str]:
    return key_variables(data.run_id, data.input or b"{}", data.additional_metadata)
