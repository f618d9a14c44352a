"""How many slots the running tasks of workers hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from engine.models.definitions import WorkflowVersion
from engine.models.task_queries import running_steps

_DEFAULT = {"default": 1}


def used_slots(worker_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
    """Return slots in use by worker and slot type; two queries for any number of workers."""
    rows = running_steps(list(worker_ids)) if worker_ids else []
    versions = WorkflowVersion.objects.in_bulk({row.version_id for row in rows})
    used: dict[UUID, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        version = versions.get(row.version_id)
        steps = version.definition["steps"] if version is not None else []
        costs = next(
            (
                step.get("slots", _DEFAULT)
                for step in steps
                if step["readable_id"] == row.readable_id
            ),
            _DEFAULT,
        )
        for kind, units in costs.items():
            used[row.worker_id][kind] += units * row.number
    return used
