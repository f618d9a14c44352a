"""Workflows that care where they run: labels of workers, stickiness, children beside their parent."""

from __future__ import annotations

import os
from typing import Any

from hatchet_sdk import (
    Context,
    DesiredWorkerLabel,
    EmptyModel,
    Hatchet,
    StickyStrategy,
    WorkerLabelComparator,
)

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()

large = hatchet.workflow(name="large")


@large.task(
    desired_worker_labels=[
        DesiredWorkerLabel(
            key="memory",
            value=256,
            required=True,
            comparator=WorkerLabelComparator.GREATER_THAN_OR_EQUAL,
        )
    ]
)
async def needs_memory(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"worker": ctx.worker_id}


anywhere = hatchet.workflow(name="anywhere")


@anywhere.task()
async def runs_anywhere(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"worker": ctx.worker_id}


relabel = hatchet.workflow(name="relabel")


@relabel.task()
async def load_model(given: EmptyModel, ctx: Context) -> dict[str, str]:
    mark("loading", ctx.worker_id)
    await pass_gate("load")
    await ctx.aio_upsert_worker_labels({"model": "fancy"})
    return {"worker": ctx.worker_id}


family = hatchet.workflow(name="family", sticky=StickyStrategy.HARD)


@family.task()
async def parent(given: EmptyModel, ctx: Context) -> dict[str, Any]:
    children = [await child.aio_run(sticky=True, wait_for_result=False) for _ in range(4)]
    results = [await ref.aio_result() for ref in children]
    return {
        "worker": ctx.worker_id,
        "children": [result["works"]["worker"] for result in results],
    }


@family.task(parents=[parent])
async def follows(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"worker": ctx.worker_id}


child = hatchet.workflow(name="child", sticky=StickyStrategy.HARD)


@child.task()
async def works(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"worker": ctx.worker_id}


WORKFLOWS = {"large": large, "anywhere": anywhere, "relabel": relabel, "family": family}

# Calls


async def run(workflow: str) -> Any:
    return await WORKFLOWS[workflow].aio_run()


async def start(workflow: str, **labels: str) -> str:
    wished = [
        DesiredWorkerLabel(key=key, value=value, required=True) for key, value in labels.items()
    ]
    ref = await WORKFLOWS[workflow].aio_run(desired_worker_labels=wished, wait_for_result=False)
    return ref.workflow_run_id


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def main() -> None:
    labels: dict[str, str | int] = {
        "memory": int(os.environ["E2E_MEMORY"]),
        "zone": os.environ["E2E_ZONE"],
    }
    hatchet.worker(
        worker_name(), slots=20, labels=labels, workflows=[*WORKFLOWS.values(), child]
    ).start()


if __name__ == "__main__":
    main()
