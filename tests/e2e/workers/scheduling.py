"""Tasks that fill slots, give them back early, have priorities and change labels."""

from __future__ import annotations

from typing import Any

from hatchet_sdk import Context, EmptyModel, Hatchet
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()


class Gate(BaseModel):
    name: str


@hatchet.task(name="occupy", input_validator=Gate)
async def occupy(given: Gate, ctx: Context) -> dict[str, str]:
    mark(given.name, f"in {ctx.worker_id}")
    await pass_gate(given.name)
    mark(given.name, "out")
    return {"worker": ctx.worker_id}


@hatchet.task(name="note-priority")
async def note_priority(given: EmptyModel, ctx: Context) -> None:
    mark("priorities", str(ctx.priority))


@hatchet.task(name="important-by-default", default_priority=3)
async def important_by_default(given: EmptyModel, ctx: Context) -> None:
    mark("priorities", f"default {ctx.priority}")


@hatchet.task(name="share-slot", input_validator=Gate)
async def share_slot(given: Gate, ctx: Context) -> dict[str, str]:
    await ctx.aio_release_slot()
    mark(given.name, "released")
    await pass_gate(given.name)
    return {"finished": "after all"}


@hatchet.task(name="relabel")
async def relabel(given: EmptyModel, ctx: Context) -> Any:
    await ctx.aio_upsert_worker_labels({"model": "b", "version": 2})
    return ctx.worker_labels


# Calls


async def start_occupying(gate: str, count: int) -> list[str]:
    items = [occupy.create_bulk_run_item(Gate(name=gate)) for _ in range(count)]
    refs = await occupy.aio_run_many(items, wait_for_result=False)
    return [ref.workflow_run_id for ref in refs]


async def start_sharing(gate: str) -> str:
    return (await share_slot.aio_run(Gate(name=gate), wait_for_result=False)).workflow_run_id


async def start_with_priorities(priorities: list[int]) -> list[str]:
    refs = [
        await note_priority.aio_run(priority=priority, wait_for_result=False)
        for priority in priorities
    ]
    last = await important_by_default.aio_run(wait_for_result=False)
    return [ref.workflow_run_id for ref in refs] + [last.workflow_run_id]


async def run_relabel() -> Any:
    return await relabel.aio_run()


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def see_worker(worker_id: str) -> Any:
    seen = hatchet.workers.get(worker_id)
    labels = {label.key: label.value for label in seen.labels or []}
    return {"status": seen.status, "labels": labels}


def pause(worker_id: str) -> None:
    hatchet.workers.pause(worker_id)


def unpause(worker_id: str) -> None:
    hatchet.workers.unpause(worker_id)


def main() -> None:
    hatchet.worker(
        worker_name(),
        slots=2,
        labels={"model": "a", "zone": "north"},
        workflows=[occupy, note_priority, important_by_default, share_slot, relabel],
    ).start()


if __name__ == "__main__":
    main()
