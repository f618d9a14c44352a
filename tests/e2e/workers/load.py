"""A steady load: runs that are counted when they were accepted and when they were executed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, Hatchet
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()
CALLERS = 6


class Number(BaseModel):
    value: int


# What the SDK's worker may lose is a report; such an attempt ends by its timeout and is tried again.
RETRIED: Any = {"retries": 2, "execution_timeout": timedelta(seconds=8)}


@hatchet.task(name="count", input_validator=Number, **RETRIED)
async def count(given: Number, ctx: Context) -> Number:
    mark("executed", f"{ctx.task_run_id} {ctx.retry_count}")
    await asyncio.sleep(0.02)
    return given


pair = hatchet.workflow(name="pair", input_validator=Number)


@pair.task(**RETRIED)
async def left(given: Number, ctx: Context) -> Number:
    mark("executed", f"{ctx.task_run_id} {ctx.retry_count}")
    await asyncio.sleep(0.05)
    return given


@pair.task(parents=[left], **RETRIED)
async def right(given: Number, ctx: Context) -> Number:
    mark("executed", f"{ctx.task_run_id} {ctx.retry_count}")
    assert ctx.task_output(left) == given
    return given


@hatchet.task(name="held", input_validator=Number, **RETRIED)
async def held(given: Number, ctx: Context) -> Number:
    mark("held", f"{ctx.task_run_id} {ctx.retry_count}")
    await pass_gate("held")
    return given


# Calls

accepted: list[str] = []
callers: list[asyncio.Task[None]] = []
stopping = asyncio.Event()


async def call_again_and_again(number: int) -> None:
    """Trigger until told to stop. A call that fails was not accepted; the SDK has retried it."""
    while not stopping.is_set():
        number += 1
        workflow: Any = pair if number % 5 == 0 else count
        try:
            ref = await workflow.aio_run(Number(value=number), wait_for_result=False)
        except Exception as error:  # noqa: BLE001  (an engine that is away fails in many ways)
            mark("refused", repr(error)[:200])
            await asyncio.sleep(0.1)
        else:
            accepted.append(ref.workflow_run_id)
            mark("accepted", ref.workflow_run_id)
            await asyncio.sleep(0.02)


def register() -> None:
    """Make the workflows known, for a worker that does not do so itself."""
    for workflow in (count._workflow, pair, held._workflow):
        hatchet._client.admin.put_workflow(workflow.to_proto())


async def start_load() -> None:
    callers.extend(asyncio.create_task(call_again_and_again(n * 100_000)) for n in range(CALLERS))


async def start_held() -> str:
    ref = await held.aio_run(Number(value=1), wait_for_result=False)
    return ref.workflow_run_id


async def stop_load() -> list[str]:
    """End the callers; return the ids of all runs that were accepted."""
    stopping.set()
    await asyncio.gather(*callers)
    return accepted


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def main() -> None:
    hatchet.worker(worker_name(), slots=20, workflows=[count, pair, held]).start()


if __name__ == "__main__":
    main()
