"""A durable task whose branches run side by side, each of them making calls of every kind."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hatchet_sdk import DurableContext

from tests.e2e.workers.durable import SOON, Given, Taken, echo, hatchet, push, replay, result
from tests.e2e.workers.signals import mark, worker_name

__all__ = ["push", "replay", "result"]


async def _remember(ctx: DurableContext, name: str, seconds: float) -> Any:
    """Take some time to find a value out; that it was done is marked."""

    async def find_out(name: str) -> Taken:
        mark("found out", name)
        await asyncio.sleep(seconds)
        return Taken(seconds=seconds, found=name)

    return (await ctx._aio_memo(find_out, Taken, name)).found


async def _weave(given: Given, ctx: DurableContext, name: str, seconds: float) -> list[Any]:
    """The branch that begins first finds its values out last."""
    thread = f"{given.key}-{name}"
    woven = [await _remember(ctx, f"{thread}-one", seconds)]
    await echo.aio_run(Given(name=f"{thread}-left"), wait_for_result=False)
    kept = await echo.aio_run(Given(name=f"{thread}-kept", number=7), child_key=thread)
    slept = await ctx.aio_sleep_for(timedelta(seconds=1))
    await ctx.aio_wait_for_event(thread)
    woven += [kept["number"], slept.duration.total_seconds()]
    woven.append(await _remember(ctx, f"{thread}-two", seconds))
    await echo.aio_run(Given(name=f"{thread}-late"), wait_for_result=False)
    found = await ctx.aio_wait_for_event(f"{thread}-again")
    return [*woven, found["number"]]


@hatchet.durable_task(name="weaving", input_validator=Given, eviction_policy=SOON)
async def weaving(given: Given, ctx: DurableContext) -> Any:
    branches = [_weave(given, ctx, name, at) for name, at in (("a", 0.6), ("b", 0.1), ("c", 0.3))]
    return {"threads": await asyncio.gather(*branches)}


async def start(task: str, given: dict[str, Any]) -> str:
    assert task == weaving.name
    ref = await weaving.aio_run(Given(**given), wait_for_result=False)
    return str(ref.workflow_run_id)


def main() -> None:
    hatchet.worker(worker_name(), slots=20, durable_slots=20, workflows=[echo, weaving]).start()


if __name__ == "__main__":
    main()
