"""Durable tasks and steps that spawn children in every pattern, wait one after the other, or never wait.

Its annotations are real objects: the SDK finds dependencies in no others.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Annotated, Any

from hatchet_sdk import Context, Depends, DurableContext, TriggerWorkflowOptions
from hatchet_sdk.exceptions import NonDeterminismError

from tests.e2e.workers.durable import (
    NEVER,
    SOON,
    Given,
    Taken,
    details,
    echo,
    hatchet,
    pair,
    push,
    replay,
    result,
)
from tests.e2e.workers.signals import mark, worker_name

__all__ = ["details", "push", "replay", "result"]


# Children of durable tasks


@hatchet.durable_task(name="colliding", input_validator=Given, eviction_policy=NEVER)
async def colliding(given: Given, ctx: DurableContext) -> Any:
    """Spawns two children, then one more at the place of the first."""
    numbers = [(await echo.aio_run(Given(number=number)))["number"] for number in (1, 2)]
    again: Any = pair if given.name == "other" else echo
    try:
        found = await again.aio_run(Given(number=1), options=TriggerWorkflowOptions(child_index=0))
    except NonDeterminismError as error:
        return {"numbers": numbers, "node": error.node_id, "error": error.message}
    return {"numbers": numbers, "found": found}


@hatchet.durable_task(name="keyed", input_validator=Given, eviction_policy=NEVER)
async def keyed(given: Given, ctx: DurableContext) -> Any:
    """One child for each letter of the name, which is its key: at once, or in one request."""
    if given.key == "bulk":
        items = [
            echo.create_bulk_run_item(Given(number=number), child_key=key)
            for number, key in enumerate(given.name)
        ]
        many = await echo.aio_run_many(items)
    else:
        many = await asyncio.gather(
            *(
                echo.aio_run(Given(number=number), child_key=key)
                for number, key in enumerate(given.name)
            )
        )
    return {"numbers": [each["number"] for each in many]}


@hatchet.durable_task(name="foresting", input_validator=Given, eviction_policy=NEVER)
async def foresting(given: Given, ctx: DurableContext) -> Any:
    items = [pair.create_bulk_run_item(Given(number=number)) for number in range(given.number)]
    return {"dags": await pair.aio_run_many(items)}


# Children of steps


async def spawn(ctx: Context, *wanted: Any) -> dict[str, Any]:
    """Start a child of each workflow and wait for none."""
    refs = [
        await workflow.aio_run(Given(number=number), wait_for_result=False)
        for number, workflow in enumerate(wanted)
    ]
    return {"task": ctx.step_run_id, "children": [ref.workflow_run_id for ref in refs]}


sowing = hatchet.workflow(name="sowing", input_validator=Given)


@sowing.task()
async def sow_all(given: Given, ctx: Context) -> dict[str, Any]:
    """As many children as the workflow has steps."""
    return await spawn(ctx, echo, echo, echo)


@sowing.task(parents=[sow_all])
async def sow_dag(given: Given, ctx: Context) -> dict[str, Any]:
    return await spawn(ctx, pair)


@sowing.task(parents=[sow_all])
async def sow_task(given: Given, ctx: Context) -> dict[str, Any]:
    return await spawn(ctx, echo)


tending = hatchet.workflow(name="tending", input_validator=Given)


@tending.durable_task(eviction_policy=NEVER)
async def tend_dag(given: Given, ctx: DurableContext) -> dict[str, Any]:
    return await spawn(ctx, pair, pair, pair)


@tending.durable_task(parents=[tend_dag], eviction_policy=NEVER)
async def tend_task(given: Given, ctx: DurableContext) -> dict[str, Any]:
    return await spawn(ctx, echo)


@tending.task(parents=[tend_dag])
async def tend_both(given: Given, ctx: Context) -> dict[str, Any]:
    return await spawn(ctx, echo, pair)


# Waits and memories


@hatchet.durable_task(name="pondering", input_validator=Given, eviction_policy=NEVER)
async def pondering(given: Given, ctx: DurableContext) -> Any:
    """Remembers what took it a second to find out."""
    began = time.monotonic()

    async def ponder(key: str) -> Taken:
        mark("pondered", key)
        await asyncio.sleep(1)
        return Taken(seconds=0.0, found=time.time_ns())

    memo = await ctx._aio_memo(ponder, Taken, given.key)
    return {"found": str(memo.found), "seconds": time.monotonic() - began}


@hatchet.durable_task(name="two_waits", input_validator=Given, eviction_policy=NEVER)
async def two_waits(given: Given, ctx: DurableContext) -> Any:
    return {
        name: await ctx.aio_wait_for_event(
            f"{given.key}:{name}", scope=given.key, lookback_window=timedelta(minutes=1)
        )
        for name in ("one", "two")
    }


@hatchet.durable_task(name="looking_back_so_far", input_validator=Given, eviction_policy=NEVER)
async def looking_back_so_far(given: Given, ctx: DurableContext) -> Any:
    window = timedelta(milliseconds=given.number)
    return {
        "found": await ctx.aio_wait_for_event(given.key, scope=given.name, lookback_window=window)
    }


@hatchet.durable_task(name="staying", input_validator=Given, eviction_policy=NEVER)
async def staying(given: Given, ctx: DurableContext) -> Any:
    found = await ctx.aio_wait_for_event(given.key)
    return {"invocation": ctx.invocation_count, "found": found}


@hatchet.durable_task(name="hopping", input_validator=Given, eviction_policy=SOON)
async def hopping(given: Given, ctx: DurableContext) -> Any:
    """Waits twice, each time long enough to be evicted."""
    found = [await ctx.aio_wait_for_event(f"{given.key}:{name}") for name in ("one", "two")]
    return {"invocation": ctx.invocation_count, "found": found}


# No waits


async def triple(given: Given, ctx: DurableContext) -> int:
    return 3 * given.number


@hatchet.durable_task(name="at_once", input_validator=Given)
async def at_once(
    given: Given, ctx: DurableContext, tripled: Annotated[int, Depends(triple)]
) -> dict[str, Any]:
    return {"number": given.number, "tripled": tripled}


TASKS: dict[str, Any] = {
    task.name: task
    for task in (
        echo,
        pair,
        colliding,
        keyed,
        foresting,
        sowing,
        tending,
        pondering,
        two_waits,
        looking_back_so_far,
        staying,
        hopping,
        at_once,
    )
}


# Calls


async def start(task: str, given: dict[str, Any]) -> str:
    ref = await TASKS[task].aio_run(Given(**given), wait_for_result=False)
    return str(ref.workflow_run_id)


def children_of(task_id: str) -> list[list[str]]:
    """The id and status of each run that REST lists under a task."""
    found = hatchet.runs.list(parent_task_external_id=task_id).rows
    return sorted([run.workflow_run_external_id or "", run.status.value] for run in found)


def run_in_every_sync_way() -> list[Any]:
    """All at once: each of them asks only once a second whether its run has ended."""
    items = [at_once.create_bulk_run_item(Given(number=3))]
    ways: list[Callable[[], Any]] = [
        lambda: at_once.run(Given(number=1)),
        at_once.run(Given(number=2), wait_for_result=False).result,
        lambda: at_once.run_many(items)[0],
        at_once.run_many(items, wait_for_result=False)[0].result,
    ]
    with ThreadPoolExecutor() as pool:
        return [running.result() for running in [pool.submit(way) for way in ways]]


async def run_in_every_async_way() -> list[Any]:
    items = [at_once.create_bulk_run_item(Given(number=3))]
    ref = await at_once.aio_run(Given(number=2), wait_for_result=False)
    return [
        await at_once.aio_run(Given(number=1)),
        await ref.aio_result(),
        *await at_once.aio_run_many(items),
        *[
            await each.aio_result()
            for each in await at_once.aio_run_many(items, wait_for_result=False)
        ],
    ]


def main() -> None:
    workflows = list(TASKS.values())
    hatchet.worker(worker_name(), slots=50, durable_slots=50, workflows=workflows).start()


if __name__ == "__main__":
    main()
