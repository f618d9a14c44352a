"""Workflows of several tasks that limit how many of their runs go at once, and limits that are shared."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

from hatchet_sdk import ConcurrencyExpression, ConcurrencyLimitStrategy, Context, Hatchet
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()

ROUND_ROBIN = ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN
IN_PROGRESS = ConcurrencyLimitStrategy.CANCEL_IN_PROGRESS


class Job(BaseModel):
    user: str = "one"
    country: str = "one"


def by(
    expression: str, max_runs: int | str, strategy: ConcurrencyLimitStrategy = ROUND_ROBIN
) -> ConcurrencyExpression:
    return ConcurrencyExpression(expression=expression, max_runs=max_runs, limit_strategy=strategy)


async def take_a_while(given: Job) -> dict[str, Any]:
    started = time.time()
    await asyncio.sleep(0.05)
    return {"user": given.user, "country": given.country, "from": started, "to": time.time()}


pairs = hatchet.workflow(
    name="pairs", input_validator=Job, concurrency=[by("input.user", 2), by("input.country", 3)]
)


@pairs.task()
async def left(given: Job, ctx: Context) -> dict[str, Any]:
    return await take_a_while(given)


@pairs.task()
async def right(given: Job, ctx: Context) -> dict[str, Any]:
    return await take_a_while(given)


@pairs.task(parents=[left, right])
async def both(given: Job, ctx: Context) -> dict[str, Any]:
    return await take_a_while(given)


chain = hatchet.workflow(
    name="chain",
    input_validator=Job,
    concurrency=[by("input.user", 1, IN_PROGRESS), by("input.country", 5)],
)


@chain.task()
async def first(given: Job, ctx: Context) -> dict[str, int]:
    return {"step": 1}


@chain.task(parents=[first])
async def second(given: Job, ctx: Context) -> dict[str, int]:
    return {"step": 2}


@chain.task(parents=[second])
async def third(given: Job, ctx: Context) -> dict[str, int]:
    mark("chain-third")
    await pass_gate(f"chain-{given.user}")
    return {"step": 3}


@chain.task(parents=[third])
async def fourth(given: Job, ctx: Context) -> dict[str, int]:
    return {"step": 4}


slow = hatchet.workflow(name="slow_pair", input_validator=Job, concurrency=[by("input.user", 1)])


@slow.task(execution_timeout=timedelta(seconds=1), concurrency=[by("input.country", 1)])
async def slow_left(given: Job, ctx: Context) -> None:
    await pass_gate("never")


@slow.task(execution_timeout=timedelta(seconds=1), concurrency=[by("input.country", 1)])
async def slow_right(given: Job, ctx: Context) -> None:
    await pass_gate("never")


@slow.on_failure_task()
async def rescue(given: Job, ctx: Context) -> dict[str, bool]:
    mark("rescued")
    return {"rescued": True}


everyone = ConcurrencyExpression(
    expression="input.user",
    max_runs=2,
    limit_strategy=ROUND_ROBIN,
    name="everyone",
    is_tenant_scoped=True,
)


@hatchet.task(name="mine", input_validator=Job, concurrency=everyone)
async def mine(given: Job, ctx: Context) -> dict[str, Any]:
    return await take_a_while(given)


@hatchet.task(name="yours", input_validator=Job, concurrency=[everyone])
async def yours(given: Job, ctx: Context) -> dict[str, Any]:
    return await take_a_while(given)


@hatchet.task(
    name="tiered",
    input_validator=Job,
    concurrency=[by("input.user", "input.country == 'gold' ? 3 : int(input.country)")],
)
async def tiered(given: Job, ctx: Context) -> dict[str, Any]:
    return await take_a_while(given)


async def hold(name: str) -> dict[str, str]:
    mark(f"{name}-started")
    await pass_gate(name)
    return {"is": "done"}


@hatchet.task(
    name="keep_newest",
    input_validator=Job,
    concurrency=[by("input.user", 1, ConcurrencyLimitStrategy.CANCEL_QUEUED_EXCEPT_NEWEST)],
)
async def keep_newest(given: Job, ctx: Context) -> dict[str, str]:
    return await hold("keep_newest")


@hatchet.task(
    name="keep_oldest",
    input_validator=Job,
    concurrency=[by("input.user", 1, ConcurrencyLimitStrategy.CANCEL_QUEUED_EXCEPT_OLDEST)],
)
async def keep_oldest(given: Job, ctx: Context) -> dict[str, str]:
    return await hold("keep_oldest")


WORKFLOWS: dict[str, Any] = {
    "pairs": pairs,
    "chain": chain,
    "slow_pair": slow,
    "mine": mine,
    "yours": yours,
    "tiered": tiered,
    "keep_newest": keep_newest,
    "keep_oldest": keep_oldest,
}


# What the test calls


async def run_pairs(jobs: list[dict[str, str]]) -> list[Any]:
    items = [pairs.create_bulk_run_item(input=Job(**job)) for job in jobs]
    return await pairs.aio_run_many(items)


async def run_shared(count: int) -> list[Any]:
    runs = [task.aio_run(Job()) for _ in range(count) for task in (mine, yours)]
    return list(await asyncio.gather(*runs))


async def run_tiered(count: int, country: str) -> list[Any]:
    item = tiered.create_bulk_run_item(input=Job(country=country))
    return await tiered.aio_run_many([item] * count)


async def run_chain(user: str) -> dict[str, Any]:
    return await chain.aio_run(Job(user=user))


def start(workflow: str, **given: str) -> str:
    return str(WORKFLOWS[workflow].run_no_wait(Job(**given)).workflow_run_id)


async def result_of(run_id: str) -> Any:
    """What a caller gets who waits for the run: nothing is raised for a cancelled one."""
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def main() -> None:
    hatchet.worker(worker_name(), slots=50, workflows=list(WORKFLOWS.values())).start()


if __name__ == "__main__":
    main()
