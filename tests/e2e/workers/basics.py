"""Plain tasks: sync and async, checked input, typed output, metadata, errors."""

from __future__ import annotations

import asyncio
from typing import Any

from hatchet_sdk import Context, EmptyModel, Hatchet
from pydantic import BaseModel, Field

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()


class Number(BaseModel):
    value: int = Field(ge=0)
    comment: str = ""


class Doubled(BaseModel):
    value: int
    comment: str


@hatchet.task(name="double", input_validator=Number)
def double(given: Number, ctx: Context) -> Doubled:
    return Doubled(value=given.value * 2, comment=given.comment)


@hatchet.task(name="Double-Async", input_validator=Number)
async def double_async(given: Number, ctx: Context) -> Doubled:
    # The larger, the sooner: results come back in another order than they were asked for.
    await asyncio.sleep(max(0.0, 0.3 - given.value / 100))
    return Doubled(value=given.value * 2, comment=given.comment)


@hatchet.task(name="nothing")
def nothing(given: EmptyModel, ctx: Context) -> None:
    return None


@hatchet.task(name="describe")
async def describe(given: EmptyModel, ctx: Context) -> dict[str, Any]:
    return {
        "input": given,
        "metadata": ctx.additional_metadata,
        "run_id": ctx.workflow_run_id,
        "task_id": ctx.task_run_id,
        "priority": ctx.priority,
        "attempt": ctx.attempt_number,
        "max_attempts": ctx.max_attempts,
        "workflow_id": ctx.workflow_id,
        "worker": ctx.worker_id,
    }


@hatchet.task(name="fail")
def fail(given: EmptyModel, ctx: Context) -> None:
    raise ValueError("the last line\nis kept: äöü €")


@hatchet.task(name="wait-at-gate")
async def wait_at_gate(given: EmptyModel, ctx: Context) -> dict[str, str]:
    mark("arrived", ctx.workflow_run_id)
    await pass_gate("basics")
    return {"passed": "yes"}


# Calls


def run_sync(value: int, comment: str = "") -> Any:
    return double.run(Number(value=value, comment=comment))


async def run_async(value: int, comment: str = "") -> Any:
    return await double_async.aio_run(Number(value=value, comment=comment))


async def run_many(count: int) -> Any:
    items = [double_async.create_bulk_run_item(Number(value=n)) for n in range(count)]
    return [result.value for result in await double_async.aio_run_many(items)]


def run_many_in_sync(count: int) -> Any:
    items = [double.create_bulk_run_item(Number(value=n)) for n in range(count)]
    return [result.value for result in double.run_many(items)]


async def run_some_that_fail() -> Any:
    items = [fail.create_bulk_run_item(), fail.create_bulk_run_item()]
    return [str(one) for one in await fail.aio_run_many(items, return_exceptions=True)]


async def run_without_waiting() -> Any:
    ref = await double.aio_run(Number(value=21), wait_for_result=False)
    return {"id": ref.workflow_run_id, "result": await ref.aio_result()}


async def run_many_without_waiting(count: int) -> Any:
    items = [double.create_bulk_run_item(Number(value=n)) for n in range(count)]
    refs = await double.aio_run_many(items, wait_for_result=False)
    return [(await ref.aio_result()).value for ref in refs]


async def start_waiting() -> str:
    ref = await wait_at_gate.aio_run(wait_for_result=False)
    return ref.workflow_run_id


async def result_of(run_id: str) -> Any:
    return await wait_at_gate.aio_get_result(run_id)


def result_over_rest(run_id: str) -> Any:
    return hatchet.runs.get_result(run_id)


async def run_nothing() -> Any:
    return await nothing.aio_run()


async def run_described(given: dict[str, Any], metadata: dict[str, str], priority: int) -> Any:
    return await describe.aio_run(
        EmptyModel(**given), additional_metadata=metadata, priority=priority
    )


async def run_failing() -> Any:
    return await fail.aio_run()


def main() -> None:
    hatchet.worker(
        worker_name(),
        slots=50,
        workflows=[double, double_async, nothing, describe, fail, wait_at_gate],
    ).start()


if __name__ == "__main__":
    main()
