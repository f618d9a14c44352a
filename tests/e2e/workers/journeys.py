"""A durable task that remembers, sleeps, spawns and waits: each run does all of it, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from hatchet_sdk import Context, DurableContext, EvictionPolicy, Hatchet
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, worker_name

hatchet = Hatchet()
TOGETHER = 100
PATIENT: Any = {"retries": 50, "execution_timeout": timedelta(seconds=15)}


class Number(BaseModel):
    number: int


class Token(BaseModel):
    token: str


@hatchet.task(name="leaf", input_validator=Number, **PATIENT)
async def leaf(given: Number, ctx: Context) -> Number:
    return given


@hatchet.durable_task(
    name="journey",
    input_validator=Number,
    eviction_policy=EvictionPolicy(ttl=timedelta(seconds=1)),
    **PATIENT,
)
async def journey(given: Number, ctx: DurableContext) -> dict[str, Any]:
    async def toss(number: int) -> Token:
        mark("tossed", str(number))
        return Token(token=str(uuid4()))

    memo = await ctx._aio_memo(toss, Token, given.number)
    await ctx.aio_sleep_for(timedelta(seconds=1 + given.number % 3))
    child = await leaf.aio_run(given)
    event = await ctx.aio_wait_for_event("go")
    return {"token": memo.token, "child": child.number, "event": event["number"]}


# Calls


def register() -> None:
    """Make the workflows known, for a worker that does not do so itself."""
    for workflow in (leaf._workflow, journey._workflow):
        hatchet._client.admin.put_workflow(workflow.to_proto())


async def start(count: int) -> list[str]:
    """Start that many journeys; return their ids, in the order of their numbers."""
    refs = []
    for first in range(0, count, TOGETHER):
        numbers = range(first, min(first + TOGETHER, count))
        items = [journey.create_bulk_run_item(Number(number=number)) for number in numbers]
        refs += await journey.aio_run_many(items, wait_for_result=False)
    return [ref.workflow_run_id for ref in refs]


async def go() -> None:
    await hatchet.event.aio_push("go", {"number": 7})


def main() -> None:
    hatchet.worker(worker_name(), slots=50, durable_slots=100, workflows=[leaf, journey]).start()


if __name__ == "__main__":
    main()
