"""Tasks that fail, are too slow, or wait too long for a worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, EmptyModel, Hatchet, NonRetryableException
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()


class Failures(BaseModel):
    count: int


@hatchet.task(name="flaky", retries=3, input_validator=Failures)
def flaky(given: Failures, ctx: Context) -> dict[str, int]:
    if ctx.retry_count < given.count:
        raise ValueError(f"failure {ctx.attempt_number}")
    return {"attempt": ctx.attempt_number}


@hatchet.task(name="patient", retries=2, backoff_factor=1.5, backoff_max_seconds=2)
def patient(given: EmptyModel, ctx: Context) -> dict[str, int]:
    if ctx.retry_count < 2:
        raise ValueError("again")
    return {"attempt": ctx.attempt_number}


three = hatchet.workflow(name="three")


@three.task(retries=1)
def hopeless(given: EmptyModel, ctx: Context) -> None:
    raise NonRetryableException("do not try this again")


@three.task(retries=1)
def unlucky(given: EmptyModel, ctx: Context) -> None:
    raise ValueError("try this again")


@three.task(retries=1)
def lucky(given: EmptyModel, ctx: Context) -> dict[str, int]:
    return {"attempt": ctx.attempt_number}


@hatchet.task(name="slow", execution_timeout=timedelta(seconds=1), retries=1)
async def slow(given: EmptyModel, ctx: Context) -> None:
    mark("slow", str(ctx.retry_count))
    try:
        await pass_gate("never")
    except asyncio.CancelledError:
        mark("slow-stopped", str(ctx.retry_count))
        raise


@hatchet.task(name="extended", execution_timeout=timedelta(seconds=2))
async def extended(given: EmptyModel, ctx: Context) -> dict[str, str]:
    await ctx.aio_refresh_timeout(timedelta(seconds=30))
    await asyncio.sleep(3)
    return {"finished": "late"}


@hatchet.task(name="nobodys", schedule_timeout=timedelta(seconds=1))
def nobodys(given: EmptyModel, ctx: Context) -> None:
    mark("nobodys")


# Calls


async def run_flaky(failures: int) -> Any:
    return await flaky.aio_run(Failures(count=failures))


async def start(task: str, count: int = 0) -> str:
    if task == "flaky":
        ref: Any = await flaky.aio_run(Failures(count=count), wait_for_result=False)
    else:
        found: Any = {
            "patient": patient,
            "slow": slow,
            "extended": extended,
            "nobodys": nobodys,
            "three": three,
        }[task]
        ref = await found.aio_run(wait_for_result=False)
    return str(ref.workflow_run_id)


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def status(run_id: str) -> str:
    return hatchet.runs.get_details(run_id).status.name


def register_nobodys() -> None:
    """Make the workflow known without a worker that could run it."""
    hatchet._client.admin.put_workflow(nobodys._workflow.to_proto())


def main() -> None:
    hatchet.worker(
        worker_name(), slots=20, workflows=[flaky, patient, three, slow, extended]
    ).start()


if __name__ == "__main__":
    main()
