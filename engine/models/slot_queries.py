"""How many slots the running tasks of workers hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from engine.domain.definition_form import from_canonical_form
from engine.models.definitions import WorkflowVersion
from engine.models.task_queries import running_steps

Slots = Mapping[str, int]

_slots: dict[UUID, dict[str, Slots]] = {}
_CACHED_VERSIONS = 5_000


def _slots_by_step(version_ids: Iterable[UUID]) -> Mapping[UUID, Mapping[str, Slots]]:
    """What one task of each step costs, by version and readable id.

    Versions never change, so each is read once per process.
    """
    wanted = set(version_ids)
    if missing := wanted - _slots.keys():
        if len(_slots) > _CACHED_VERSIONS:
            _slots.clear()
            missing = wanted
        stored = WorkflowVersion.objects.filter(id__in=missing).values_list("id", "definition")
        for version_id, form in stored:
            steps = from_canonical_form(form).steps
            _slots[version_id] = {step.readable_id: step.slots for step in steps}
    return {version_id: _slots.get(version_id, {}) for version_id in wanted}


def used_slots(worker_ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, int]]:
    """Return slots in use by worker and slot type; two queries at most for any number of workers."""
    used: dict[UUID, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    rows = running_steps(list(worker_ids)) if worker_ids else []
    costs = _slots_by_step(row.version_id for row in rows)
    for row in rows:
        for kind, units in costs[row.version_id].get(row.readable_id, {}).items():
            used[row.worker_id][kind] += units * row.number
    return used
