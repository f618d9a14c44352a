"""Workflows that limit how many of their runs go at once; each run says when it started and ended."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from hatchet_sdk import (
    ConcurrencyExpression,
    ConcurrencyLimitStrategy,
    Context,
    Hatchet,
    TriggerWorkflowOptions,
)
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()


class Job(BaseModel):
    user: str
    country: str = ""


def by(expression: str, max_runs: int, strategy: ConcurrencyLimitStrategy) -> ConcurrencyExpression:
    return ConcurrencyExpression(expression=expression, max_runs=max_runs, limit_strategy=strategy)


async def take_a_while(given: Job) -> dict[str, Any]:
    started = time.time()
    await asyncio.sleep(0.1)
    return {"user": given.user, "country": given.country, "from": started, "to": time.time()}


@hatchet.task(
    name="fair",
    input_validator=Job,
    concurrency=[
        by("input.user", 3, ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN),
        by("input.country", 4, ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN),
    ],
)
async def fair(given: Job, ctx: Context) -> dict[str, Any]:
    return await take_a_while(given)


@hatchet.task(name="single", input_validator=Job, concurrency=1)
async def single(given: Job, ctx: Context) -> dict[str, Any]:
    return await take_a_while(given)


async def hold(name: str) -> dict[str, str]:
    mark(f"{name}-started")
    await pass_gate(name)
    return {"is": "done"}


newest_wins = hatchet.workflow(
    name="newest_wins",
    input_validator=Job,
    concurrency=by("input.user", 1, ConcurrencyLimitStrategy.CANCEL_IN_PROGRESS),
)


@newest_wins.task()
async def held_newest(given: Job, ctx: Context) -> dict[str, str]:
    return await hold("newest_wins")


first_wins = hatchet.workflow(
    name="first_wins",
    input_validator=Job,
    concurrency=by("input.user", 1, ConcurrencyLimitStrategy.CANCEL_NEWEST),
)


@first_wins.task()
async def held_first(given: Job, ctx: Context) -> dict[str, str]:
    return await hold("first_wins")


# What the test calls


async def run_fair(jobs: list[dict[str, str]]) -> list[Any]:
    return await fair.aio_run_many([fair.create_bulk_run_item(input=Job(**job)) for job in jobs])


async def run_single(count: int) -> list[Any]:
    item = single.create_bulk_run_item(input=Job(user="one"))
    return await single.aio_run_many([item] * count)


def start(workflow: str) -> str:
    started = {"newest_wins": newest_wins, "first_wins": first_wins}[workflow]
    return started.run_no_wait(Job(user="one"), options=TriggerWorkflowOptions()).workflow_run_id


def main() -> None:
    hatchet.worker(
        worker_name(), slots=50, workflows=[fair, single, newest_wins, first_wins]
    ).start()


if __name__ == "__main__":
    main()
