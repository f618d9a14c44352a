"""Evaluates the keys of concurrency groups for tasks of runs that exist already."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from engine.domain.concurrency import NO_KEYS, Keys, chains_of, key_variables, make_keys
from engine.domain.definition import RegisteredStep, RegisteredVersion
from engine.store import runs
from engine.store.query import Operation, fetch
from engine.store.runs import KeyData


def load_key_data(
    version_of: Mapping[UUID, RegisteredVersion],
) -> Operation[Mapping[UUID, KeyData]]:
    """Return what keys are made from, by run, of those of these runs that need keys."""
    wanted = sorted(run_id for run_id, version in version_of.items() if chains_of(version))
    if not wanted:
        return {}
    return {row.run_id: row for row in (yield from fetch(runs.key_data(wanted)))}


def keys_from(
    data: KeyData | None, version: RegisteredVersion, step: RegisteredStep, *, arrival: UUID
) -> Keys:
    """Return a task's keys; `data` is None for runs that need none."""
    if data is None:
        return NO_KEYS
    variables = key_variables(data.run_id, data.input or b"{}", data.additional_metadata)
    return make_keys(version, step, variables, priority=data.priority, arrival=arrival)
