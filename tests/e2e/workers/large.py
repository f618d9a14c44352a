"""Tasks that return megabytes, or stream them."""

from __future__ import annotations

import asyncio
from typing import Any

from hatchet_sdk import Context, EmptyModel, Hatchet
from pydantic import BaseModel

from tests.e2e.workers.signals import is_open, open_gate, worker_name

hatchet = Hatchet()

HELLO = "hello"


class Wanted(BaseModel):
    size: int


def text(size: int) -> dict[str, str]:
    return {"text": "x" * size}


@hatchet.task(name="one-large", input_validator=Wanted)
def one_large(given: Wanted, ctx: Context) -> dict[str, str]:
    return text(given.size)


three_large = hatchet.workflow(name="three-large", input_validator=Wanted)


@three_large.task()
def first(given: Wanted, ctx: Context) -> dict[str, str]:
    return text(given.size)


@three_large.task()
def second(given: Wanted, ctx: Context) -> dict[str, str]:
    return text(given.size)


@three_large.task()
def third(given: Wanted, ctx: Context) -> dict[str, str]:
    return text(given.size)


@hatchet.task(name="stream-bytes")
async def stream_bytes(given: EmptyModel, ctx: Context) -> None:
    while not is_open(f"heard-{ctx.workflow_run_id}"):
        await ctx.aio_put_stream(HELLO)
        await asyncio.sleep(0.05)
    await ctx.aio_put_stream(bytes(range(128, 256)) * 16_384)
    await ctx.aio_put_stream("the end")


# Called in the client process.


def run_one(size: int) -> int:
    return len(one_large.run(Wanted(size=size))["text"])


async def aio_run_one(size: int) -> int:
    return len((await one_large.aio_run(Wanted(size=size)))["text"])


def run_three(size: int) -> dict[str, int]:
    return {
        name: len(output["text"]) for name, output in three_large.run(Wanted(size=size)).items()
    }


async def aio_run_three(size: int) -> dict[str, int]:
    outputs = await three_large.aio_run(Wanted(size=size))
    return {name: len(output["text"]) for name, output in outputs.items()}


def start_three(size: int) -> str:
    return three_large.run(Wanted(size=size), wait_for_result=False).workflow_run_id


def details(run_id: str) -> dict[str, Any]:
    found = hatchet.runs.get_details(run_id)
    return {
        "done": found.done,
        "status": found.status.name,
        "tasks": [
            {"status": task.status.name, "size": len(str(task.output)), "error": task.error}
            for task in found.task_runs.values()
        ],
    }


async def stream() -> tuple[int, str]:
    """Return how many characters came, and the last piece."""
    run_id = (await stream_bytes.aio_run(wait_for_result=False)).workflow_run_id
    count, last = 0, ""
    async for piece in hatchet.runs.subscribe_to_stream(run_id):
        if piece == HELLO:
            open_gate(f"heard-{run_id}")
        else:
            count, last = count + len(piece), piece
    return count, last


def main() -> None:
    hatchet.worker(
        worker_name(), slots=20, workflows=[one_large, three_large, stream_bytes]
    ).start()


if __name__ == "__main__":
    main()
