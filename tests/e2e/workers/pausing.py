"""A task whose workflow is paused and resumed while runs of it wait."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from hatchet_sdk import Context, EmptyModel, Hatchet

from tests.e2e.workers.signals import mark, worker_name

hatchet = Hatchet()


@hatchet.task(name="pausable")
def pausable(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"ran": "yes"}


@hatchet.task(name="ticking", on_crons=["* * * * * *"])
def ticking(given: EmptyModel, ctx: Context) -> None:
    mark("ticks")


# Calls


def start() -> str:
    return pausable.run(wait_for_result=False).workflow_run_id


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def pause(workflow: str, ttl: float, crons: Literal["DROP", "QUEUE"] = "QUEUE") -> bool | None:
    paused = hatchet.workflows.pause(
        workflow_id=workflow_id(workflow),
        queue_ttl=timedelta(seconds=ttl),
        paused_workflow_cron_run_queue_behavior=crons,
    )
    return paused.is_paused


def unpause(workflow: str) -> bool | None:
    return hatchet.workflows.unpause(workflow_id(workflow)).is_paused


def workflow_id(name: str) -> str:
    rows = hatchet.workflows.list(workflow_name=name).rows or []
    return next(row.metadata.id for row in rows if row.name == name)


def main() -> None:
    hatchet.worker(worker_name(), slots=5, workflows=[pausable, ticking]).start()


if __name__ == "__main__":
    main()
