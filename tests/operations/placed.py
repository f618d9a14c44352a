"""Runs operations as an engine does that has free slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast
from uuid import UUID

from engine.domain.rate_limits import Taken
from engine.store.placing import Places, Wanting
from engine.store.query import Operation

Result = TypeVar("Result")


def placed(
    operation: Operation[Result],
    worker_of: Mapping[UUID, UUID] | UUID,
    taken: Mapping[UUID, Sequence[Taken]] | None = None,
) -> Operation[Result]:
    """Place the attempts that an operation is about to write on these workers, by task, or all on one."""
    running = iter(operation)
    try:
        step = next(running)
        while True:
            if isinstance(step, Wanting):
                asked = [task.id for _, task in step.ready]
                found = (
                    dict.fromkeys(asked, worker_of)
                    if isinstance(worker_of, UUID)
                    else {task_id: worker_of[task_id] for task_id in asked if task_id in worker_of}
                )
                step = running.send(cast(Any, Places(found, {}, taken or {})))
            else:
                step = running.send((yield step))
    except StopIteration as stop:
        result: Result = stop.value
        return result
