"""Tasks that run in batches: each item's output tells with how many others it ran."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, Hatchet, TaskDefaults
from hatchet_sdk.runnables.types import BatchMemberId
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, worker_name

hatchet = Hatchet()
LONG = timedelta(hours=1)


class Item(BaseModel):
    number: int = 0
    group: Any = ""
    data: str = ""


Items = dict[BatchMemberId, Item]
Outputs = dict[BatchMemberId, dict[str, Any]]


def outputs(items: Items) -> Outputs:
    return {
        member: {"number": item.number, "size": len(items), "first": next(iter(items))}
        for member, item in items.items()
    }


@hatchet.batch_task(name="by_size", input_validator=Item, batch_max_size=3, batch_max_interval=LONG)
async def by_size(items: Items, ctx: Context) -> Outputs:
    return outputs(items)


@hatchet.batch_task(
    name="by_interval",
    input_validator=Item,
    batch_max_size=100,
    batch_max_interval=timedelta(milliseconds=300),
)
def by_interval(items: Items, ctx: Context) -> Outputs:
    return outputs(items)


@hatchet.batch_task(name="one_by_one", input_validator=Item, batch_max_size=1)
async def one_by_one(items: Items, ctx: Context) -> Outputs:
    return outputs(items)


@hatchet.batch_task(
    name="by_group",
    input_validator=Item,
    batch_max_size=3,
    batch_max_interval=timedelta(seconds=2),
    batch_group_key="input.group",
    batch_group_max_runs=1,
)
async def by_group(items: Items, ctx: Context) -> Outputs:
    assert len({item.group for item in items.values()}) == 1
    return outputs(items)


@hatchet.batch_task(
    name="large",
    input_validator=Item,
    batch_max_size=100,
    batch_max_interval=timedelta(seconds=5),
    execution_timeout=timedelta(minutes=2),
)
async def large(items: Items, ctx: Context) -> Outputs:
    return outputs(items)


@hatchet.batch_task(
    name="broadcast",
    input_validator=Item,
    batch_max_size=3,
    batch_max_interval=LONG,
    broadcast_output=True,
)
async def broadcast(items: Items, ctx: Context) -> dict[str, Any]:
    return {"sum": sum(item.number for item in items.values())}


@hatchet.batch_task(
    name="cancelling", input_validator=Item, batch_max_size=10, batch_max_interval=LONG
)
async def cancelling(items: Items, ctx: Context) -> Outputs:
    await ctx.aio_cancel()
    return outputs(items)


second_try = hatchet.workflow(
    name="second_try", input_validator=Item, task_defaults=TaskDefaults(retries=1)
)


@second_try.batch_task(batch_max_size=2, batch_max_interval=timedelta(milliseconds=300))
async def tried(items: Items, ctx: Context) -> Outputs:
    """Item 1 has nothing to show in a batch of two, which fails it alone."""
    found = outputs(items)
    if len(items) == 2:
        found[next(member for member, item in items.items() if item.number == 1)] = {}
    return found


raising = hatchet.workflow(
    name="raising", input_validator=Item, task_defaults=TaskDefaults(retries=1)
)


@raising.batch_task(batch_max_size=2, batch_max_interval=LONG)
async def raised(items: Items, ctx: Context) -> Outputs:
    mark("raised")
    raise ValueError("the whole batch is broken")


@hatchet.task(name="child", input_validator=Item)
async def child(given: Item, ctx: Context) -> dict[str, int]:
    return {"number": given.number * 2}


@hatchet.batch_task(
    name="parents",
    input_validator=Item,
    batch_max_size=2,
    batch_max_interval=LONG,
    execution_timeout=timedelta(minutes=2),
)
async def parents(items: Items, ctx: Context) -> Outputs:
    """Every item has a plain child and one that runs in batches."""
    listed = list(items.values())
    plain = await child.aio_run_many([child.create_bulk_run_item(input=i) for i in listed])
    batched = await asyncio.gather(*(one_by_one.aio_run(item) for item in listed))
    return {
        member: {"plain": one["number"], "batched": other["number"]}
        for member, one, other in zip(items, plain, batched, strict=True)
    }


flow = hatchet.workflow(name="flow", input_validator=Item)


@flow.task()
async def prepare(given: Item, ctx: Context) -> dict[str, int]:
    return {"number": given.number + 10}


@flow.batch_task(parents=[prepare], batch_max_size=2, batch_max_interval=LONG)
async def together(items: Items, ctx: Context) -> Outputs:
    return outputs(items)


TASKS: dict[str, Any] = {
    task.name: task
    for task in (
        by_size,
        by_interval,
        one_by_one,
        by_group,
        large,
        broadcast,
        cancelling,
        second_try,
        raising,
        parents,
        flow,
    )
}


# What the test calls


async def run(task: str, items: list[dict[str, Any]]) -> list[Any]:
    called = TASKS[task]
    found: list[Any] = await called.aio_run_many(
        [called.create_bulk_run_item(input=Item(**item)) for item in items]
    )
    return found


async def run_apart(task: str, items: list[dict[str, Any]]) -> list[Any]:
    """Each by a call of its own, and what went wrong as text."""
    called = TASKS[task]
    found = await asyncio.gather(
        *(called.aio_run(Item(**item)) for item in items), return_exceptions=True
    )
    return [str(one) if isinstance(one, BaseException) else one for one in found]


async def run_large(count: int, size: int) -> list[Any]:
    items = [Item(number=n, data="x" * size) for n in range(count)]
    return await large.aio_run_many([large.create_bulk_run_item(input=item) for item in items])


def main() -> None:
    hatchet.worker(worker_name(), slots=20, workflows=[*TASKS.values(), child]).start()


if __name__ == "__main__":
    main()
