"""Reading querysets over what steps wait for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from engine.models.waits import StepWait


def open_waits(task_ids: Sequence[UUID]) -> dict[UUID, list[StepWait]]:
    """The sleeps and events that these tasks still wait for, by task."""
    found: dict[UUID, list[StepWait]] = defaultdict(list)
    rows = StepWait.objects.filter(task_id__in=task_ids, satisfied_at=None)
    for wait in rows.order_by("task_id", "ordinal"):
        found[wait.task_id].append(wait)
    return found
