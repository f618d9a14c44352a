"""Reads of runs that gRPC clients ask for."""

from __future__ import annotations

from uuid import UUID

from engine.domain.payload import reason_of
from engine.states import Status
from engine.store import runs
from engine.store.query import Operation, fetch
from engine.types import RunDetails, TaskDetails


def load_run_details(tenant_id: UUID, external_id: UUID) -> Operation[RunDetails | None]:
    """Return a run by its id or by the id of one of its tasks, with the tasks there are so far."""
    found = yield from fetch(runs.details(tenant_id, external_id))
    if not found:
        return None
    run = found[0]
    rows = yield from fetch(runs.results(tenant_id, [run.id], finished_only=False))
    return RunDetails(
        run_id=run.id,
        status=Status(run.status),
        input=run.input or b"{}",
        additional_metadata=run.additional_metadata.encode() if run.additional_metadata else None,
        tasks=tuple(
            TaskDetails(
                row.task_id,
                row.readable_id,
                # One that was evicted and waits for a worker again has been running all along.
                Status.RUNNING if row.is_evicted else Status(row.status),
                output=None if reason_of(row.output) else row.output,
                error=reason_of(row.output) or _text(row.error),
                is_evicted=row.is_evicted,
            )
            for row in rows
        ),
    )


def _text(error: bytes | None) -> str | None:
    return error.decode(errors="replace") if error is not None else None
