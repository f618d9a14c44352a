"""Workflows of several tasks: outputs of parents, failures on the way, details while running."""

from __future__ import annotations

from typing import Any

from hatchet_sdk import Context, EmptyModel, Hatchet
from pydantic import BaseModel

from tests.e2e.workers.signals import is_open, mark, pass_gate, worker_name

hatchet = Hatchet()


class Basket(BaseModel):
    prices: list[int]


class Total(BaseModel):
    cents: int


fan = hatchet.workflow(name="fan", input_validator=Basket)


@fan.task()
def cheap(given: Basket, ctx: Context) -> Total:
    return Total(cents=min(given.prices))


@fan.task()
async def dear(given: Basket, ctx: Context) -> Total:
    return Total(cents=max(given.prices))


@fan.task(parents=[cheap, dear])
def both(given: Basket, ctx: Context) -> Total:
    return Total(cents=ctx.task_output(cheap).cents + ctx.task_output(dear).cents)


@fan.task(parents=[both])
async def last(given: Basket, ctx: Context) -> dict[str, Any]:
    return {"both": ctx.task_output(both).cents, "cheap": ctx.task_output(cheap).cents}


wide = hatchet.workflow(name="wide")


@wide.task()
def quick(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"is": "quick"}


@wide.task()
async def held(given: EmptyModel, ctx: Context) -> dict[str, str]:
    mark("held", ctx.workflow_run_id)
    await pass_gate("held")
    return {"is": "held"}


@wide.task()
def broken(given: EmptyModel, ctx: Context) -> None:
    raise RuntimeError("broken on purpose")


@wide.task()
async def cancelled(given: EmptyModel, ctx: Context) -> None:
    await ctx.aio_cancel()
    await pass_gate("never")


@wide.task(parents=[held])
def after_held(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"after": ctx.task_output(held)["is"]}


@wide.task(parents=[broken])
def after_broken(given: EmptyModel, ctx: Context) -> None:
    mark("after-broken")


rescued = hatchet.workflow(name="rescued")


@rescued.task()
def works(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"worked": "yes"}


@rescued.task(retries=1)
def fails(given: EmptyModel, ctx: Context) -> None:
    raise RuntimeError(f"failed in attempt {ctx.attempt_number}")


@rescued.on_failure_task()
def clean_up(given: EmptyModel, ctx: Context) -> dict[str, str]:
    mark("errors", "|".join(sorted(ctx.task_run_errors)))
    return {"error": ctx.task_run_errors["fails"].splitlines()[0]}


spared = hatchet.workflow(name="spared")


@spared.task()
def fine(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"fine": "yes"}


@spared.on_failure_task()
def never_needed(given: EmptyModel, ctx: Context) -> None:
    mark("never-needed")


class Outcome(BaseModel):
    fails: bool


crowned = hatchet.workflow(name="crowned", input_validator=Outcome)


@crowned.task()
def left_leaf(given: Outcome, ctx: Context) -> dict[str, str]:
    return {"left": "done"}


@crowned.task()
def right_leaf(given: Outcome, ctx: Context) -> dict[str, str]:
    if given.fails:
        raise RuntimeError("no success")
    return {"right": "done"}


@crowned.on_success_task()
def crown(given: Outcome, ctx: Context) -> dict[str, str]:
    mark("crowned", ctx.workflow_run_id)
    return {**ctx.task_output(left_leaf), **ctx.task_output(right_leaf)}


mended = hatchet.workflow(name="mended")


@mended.task()
def first(given: EmptyModel, ctx: Context) -> dict[str, int]:
    mark("mended-first")
    return {"retry": ctx.retry_count}


@mended.task(parents=[first])
def second(given: EmptyModel, ctx: Context) -> dict[str, int]:
    if not is_open("mended"):
        raise RuntimeError("not yet")
    return {"retry": ctx.retry_count, "first": ctx.task_output(first)["retry"]}


@mended.task(parents=[second])
def third(given: EmptyModel, ctx: Context) -> dict[str, int]:
    return {"retry": ctx.retry_count, "second": ctx.task_output(second)["retry"]}


# Calls


async def run_fan(prices: list[int]) -> Any:
    return await fan.aio_run(Basket(prices=prices))


async def start(workflow: str) -> str:
    found = {"wide": wide, "rescued": rescued, "spared": spared, "mended": mended}[workflow]
    return (await found.aio_run(wait_for_result=False)).workflow_run_id


async def start_crowned(fails: bool) -> str:
    ref = await crowned.aio_run(Outcome(fails=fails), wait_for_result=False)
    return ref.workflow_run_id


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def details(run_id: str) -> Any:
    found = hatchet.runs.get_details(run_id)
    return {
        "status": found.status.name,
        "done": found.done,
        "tasks": {
            name: {
                "id": task.external_id,
                "status": task.status.name,
                "error": task.error,
                "output": task.output,
            }
            for name, task in found.task_runs.items()
        },
    }


def replay(run_id: str) -> None:
    hatchet.runs.replay(run_id)


def main() -> None:
    hatchet.worker(
        worker_name(), slots=20, workflows=[fan, wide, rescued, spared, crowned, mended]
    ).start()


if __name__ == "__main__":
    main()
