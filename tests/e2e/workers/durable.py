"""Durable tasks that sleep, wait for events, spawn children, remember, and are evicted while they wait."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

from hatchet_sdk import (
    Context,
    DurableContext,
    EvictionPolicy,
    Hatchet,
    SleepCondition,
    UserEventCondition,
    or_,
)
from hatchet_sdk.clients.listeners.legacy.pre_eviction_durable_event_listener import (
    PreEvictionDurableEventListener,
    RegisterDurableEventRequest,
)
from hatchet_sdk.clients.rest.api.task_api import TaskApi
from hatchet_sdk.exceptions import NonDeterminismError
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()

SOON = EvictionPolicy(ttl=timedelta(seconds=1))
NEVER: EvictionPolicy | None = None


class Given(BaseModel):
    key: str = ""
    number: int = 0
    seconds: int = 1
    name: str = ""


class Taken(BaseModel):
    """How long something took, and what came of it."""

    seconds: float
    found: Any = None


# Children


@hatchet.task(name="echo", input_validator=Given)
async def echo(given: Given, ctx: Context) -> dict[str, Any]:
    if given.key:
        await pass_gate(given.key)
    if given.number < 0:
        raise ValueError(f"no number {given.number}")
    mark("echoed", f"{given.name} {given.number}")
    mark(f"echoed-{given.name}")
    return {"number": given.number}


pair = hatchet.workflow(name="pair_of_steps", input_validator=Given)


@pair.task()
async def first(given: Given, ctx: Context) -> dict[str, Any]:
    return {"first": given.number}


@pair.task(parents=[first])
async def second(given: Given, ctx: Context) -> dict[str, Any]:
    return {"second": ctx.task_output(first)["first"] + 1}


# Waits


@hatchet.durable_task(name="sleeping", input_validator=Given, eviction_policy=NEVER)
async def sleeping(given: Given, ctx: DurableContext) -> Taken:
    began = time.monotonic()
    slept = await ctx.aio_sleep_for(timedelta(seconds=given.seconds))
    return Taken(seconds=time.monotonic() - began, found=slept.duration.total_seconds())


@hatchet.durable_task(name="listening", input_validator=Given, eviction_policy=NEVER)
async def listening(given: Given, ctx: DurableContext) -> Any:
    mark("listening", given.key)
    found = await ctx.aio_wait_for_event(given.key, "input.number > 2")
    return {"found": found}


@hatchet.durable_task(name="either", input_validator=Given, eviction_policy=NEVER)
async def either(given: Given, ctx: DurableContext) -> Any:
    """The sleep or the event, and then the event of another group with a sleep that is too long."""
    one = await ctx.aio_wait_for(
        "one", or_(SleepCondition(timedelta(seconds=1)), UserEventCondition("never"))
    )
    mark("either", given.key)
    two = await ctx.aio_wait_for(
        "two", or_(SleepCondition(timedelta(seconds=50)), UserEventCondition(given.key))
    )
    return {"one": one, "two": two}


@hatchet.durable_task(name="looking_back", input_validator=Given, eviction_policy=NEVER)
async def looking_back(given: Given, ctx: DurableContext) -> Any:
    began = time.monotonic()
    found = await ctx.aio_wait_for_event(
        given.key, scope=given.name, lookback_window=timedelta(minutes=1)
    )
    return {"seconds": time.monotonic() - began, "found": found}


# Children


@hatchet.durable_task(name="spawning", input_validator=Given, eviction_policy=NEVER)
async def spawning(given: Given, ctx: DurableContext) -> Any:
    one = await echo.aio_run(Given(number=given.number))
    dag = await pair.aio_run(Given(number=given.number))
    many = await echo.aio_run_many(
        [echo.create_bulk_run_item(Given(number=number)) for number in range(10)]
    )
    return {"one": one, "dag": dag, "many": [each["number"] for each in many]}


@hatchet.durable_task(name="spawning_failure", input_validator=Given, eviction_policy=NEVER)
async def spawning_failure(given: Given, ctx: DurableContext) -> Any:
    try:
        await echo.aio_run(Given(number=-1))
    except Exception as error:  # noqa: BLE001  (its text is what the test is about)
        return {"error": str(error)}
    return {}


@hatchet.durable_task(name="forgetting", input_validator=Given, eviction_policy=NEVER)
async def forgetting(given: Given, ctx: DurableContext) -> Any:
    """A child nobody waits for must not stand in the way of what comes after it."""
    ref = await echo.aio_run(Given(number=5, name="forgotten"), wait_for_result=False)
    await ref.aio_result()
    await ctx.aio_sleep_for(timedelta(seconds=1))
    return {"child": ref.workflow_run_id}


@hatchet.durable_task(name="repeating_keys", input_validator=Given, eviction_policy=NEVER)
async def repeating_keys(given: Given, ctx: DurableContext) -> Any:
    numbers = []
    for number, key in ((1, "a"), (2, "b"), (3, "a")):
        numbers.append((await echo.aio_run(Given(number=number), child_key=key))["number"])
    return {"numbers": numbers}


# Replay


@hatchet.durable_task(name="remembering", input_validator=Given, eviction_policy=NEVER)
async def remembering(given: Given, ctx: DurableContext) -> Any:
    """Everything there is, so that a replay can be held against the first run."""
    began = time.monotonic()

    async def toss(key: str) -> Taken:
        mark("tossed", key)
        return Taken(seconds=0.0, found=str(time.time_ns()))

    now, later = await ctx.aio_now(), await ctx.aio_now()
    memo = await ctx._aio_memo(toss, Taken, given.key)
    await ctx.aio_sleep_for(timedelta(seconds=1))
    if given.name:
        await ctx.aio_wait_for_event(given.name)
    child = await echo.aio_run(Given(number=given.number, name=given.key))
    return {
        "now": now.isoformat(),
        "later": later.isoformat(),
        "memo": memo.found,
        "child": child["number"],
        "seconds": time.monotonic() - began,
    }


@hatchet.durable_task(name="racing", input_validator=Given, eviction_policy=NEVER)
async def racing(given: Given, ctx: DurableContext) -> Any:
    """Two branches whose next calls depend on which of them goes on first."""

    async def branch(key: str) -> list[int]:
        began = await echo.aio_run(Given(number=1, key=f"{given.key}-{key}"))
        then = await echo.aio_run(Given(number=ord(key), name=f"{given.key} {key}"))
        return [began["number"], then["number"]]

    return {"found": await asyncio.gather(branch("a"), branch("b"))}


@hatchet.durable_task(name="wavering", input_validator=Given, eviction_policy=NEVER)
async def wavering(given: Given, ctx: DurableContext) -> Any:
    """Sleeps differently in each attempt."""
    try:
        await ctx.aio_sleep_for(timedelta(seconds=ctx.attempt_number))
    except NonDeterminismError as error:
        return {"attempt": ctx.attempt_number, "node": error.node_id, "error": error.message}
    return {"attempt": ctx.attempt_number}


@hatchet.durable_task(name="three_naps", input_validator=Given, eviction_policy=NEVER)
async def three_naps(given: Given, ctx: DurableContext) -> Any:
    naps = []
    for _ in range(3):
        began = time.monotonic()
        await ctx.aio_sleep_for(timedelta(seconds=1))
        naps.append(time.monotonic() - began)
    return {"naps": naps}


@hatchet.durable_task(name="stumbling", input_validator=Given, eviction_policy=NEVER, retries=1)
async def stumbling(given: Given, ctx: DurableContext) -> Any:
    """Fails once, in the middle."""
    child = await echo.aio_run(Given(number=given.number, name="stumbled"))
    await ctx.aio_sleep_for(timedelta(seconds=1))
    if ctx.attempt_number == 1:
        raise RuntimeError("stumbled")
    later = await echo.aio_run(Given(number=given.number + 1, name="stumbled"))
    return {"numbers": [child["number"], later["number"]], "attempt": ctx.attempt_number}


# Eviction


@hatchet.durable_task(name="evicted_sleep", input_validator=Given, eviction_policy=SOON)
async def evicted_sleep(given: Given, ctx: DurableContext) -> Any:
    mark("evicted_sleep", f"{given.key} {ctx.invocation_count}")
    await ctx.aio_sleep_for(timedelta(seconds=given.seconds))
    mark("slept", given.key)
    return {"invocation": ctx.invocation_count, "attempt": ctx.attempt_number}


@hatchet.durable_task(name="evicted_waiter", input_validator=Given, eviction_policy=SOON)
async def evicted_waiter(given: Given, ctx: DurableContext) -> Any:
    found = await ctx.aio_wait_for_event(given.key)
    return {"invocation": ctx.invocation_count, "found": found}


@hatchet.durable_task(name="evicted_parent", input_validator=Given, eviction_policy=SOON)
async def evicted_parent(given: Given, ctx: DurableContext) -> Any:
    many = await echo.aio_run_many(
        [
            echo.create_bulk_run_item(Given(number=number, key=f"{given.key}-{number}"))
            for number in range(3)
        ]
    )
    return {"invocation": ctx.invocation_count, "many": [each["number"] for each in many]}


@hatchet.durable_task(
    name="crowded",
    input_validator=Given,
    eviction_policy=EvictionPolicy(ttl=None),
)
async def crowded(given: Given, ctx: DurableContext) -> Any:
    mark("crowded", given.key)
    await ctx.aio_sleep_for(timedelta(seconds=given.seconds))
    return {"invocation": ctx.invocation_count}


@hatchet.durable_task(name="leaving", input_validator=Given)
async def leaving(given: Given, ctx: DurableContext) -> Any:
    mark("leaving")
    found = await ctx.aio_wait_for_event(given.key)
    return {"invocation": ctx.invocation_count, "found": found}


# Durable steps


mixed = hatchet.workflow(name="mixed", input_validator=Given)


@mixed.durable_task(eviction_policy=NEVER)
async def nap(given: Given, ctx: DurableContext) -> dict[str, Any]:
    slept = await ctx.aio_sleep_for(timedelta(seconds=1))
    child = await echo.aio_run(Given(number=given.number))
    return {"slept": slept.duration.total_seconds(), "child": child["number"]}


@mixed.durable_task(eviction_policy=NEVER)
async def hear(given: Given, ctx: DurableContext) -> dict[str, Any]:
    mark("hear", given.key)
    return {"heard": await ctx.aio_wait_for_event(given.key)}


@mixed.task(parents=[nap, hear])
async def gather(given: Given, ctx: Context) -> dict[str, Any]:
    return {"nap": ctx.task_output(nap), "hear": ctx.task_output(hear)}


TASKS: dict[str, Any] = {
    task.name: task
    for task in (
        echo,
        pair,
        sleeping,
        listening,
        either,
        looking_back,
        spawning,
        spawning_failure,
        forgetting,
        repeating_keys,
        remembering,
        racing,
        wavering,
        three_naps,
        stumbling,
        evicted_sleep,
        evicted_waiter,
        evicted_parent,
        mixed,
    )
}
ON_THEIR_OWN: dict[str, Any] = {task.name: task for task in (crowded, leaving)}
"""Tasks whose workers run nothing else."""


# Calls


async def start(task: str, given: dict[str, Any]) -> str:
    ref = await (TASKS | ON_THEIR_OWN)[task].aio_run(Given(**given), wait_for_result=False)
    run_id: str = ref.workflow_run_id
    return run_id


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


async def details(run_id: str) -> Any:
    found = await hatchet.runs.aio_get_details(run_id)
    return {
        "status": found.status.name,
        "done": found.done,
        "tasks": {
            name: [task.status.name, task.is_evicted] for name, task in found.task_runs.items()
        },
    }


def push(key: str, payload: dict[str, Any], scope: str | None = None) -> None:
    hatchet.event.push(key, payload, scope=scope)


async def replay(run_id: str) -> None:
    await hatchet.runs.aio_replay(run_id)


async def cancel(run_id: str) -> None:
    await hatchet.runs.aio_cancel(run_id)


async def wait_the_older_way(task_id: str, signal_key: str) -> Any:
    """As SDKs did before durable tasks had streams of their own."""
    config = hatchet.config
    listener = PreEvictionDurableEventListener(config)
    wanted = [SleepCondition(timedelta(seconds=1)), UserEventCondition("older:go")]
    request = RegisterDurableEventRequest(
        task_id=task_id, signal_key=signal_key, conditions=wanted, config=config
    )
    listener.register_durable_event(request)
    return await listener.result(task_id, signal_key)


async def restore(task_id: str) -> bool:
    with hatchet.runs.client() as client:
        answer = await asyncio.to_thread(TaskApi(client).v1_task_restore, task_id)
    return bool(answer.requeued)


async def reset(run_id: str, node_id: int, branch_id: int) -> Any:
    found = await hatchet.runs.aio_reset_durable_task(run_id, node_id, branch_id)
    return [found.node_id, found.branch_id]


def main() -> None:
    """A worker for most tasks, or for the one that E2E_TASK names, with E2E_SLOTS durable slots."""
    name = os.environ.get("E2E_TASK")
    tasks = [ON_THEIR_OWN[name]] if name else list(TASKS.values())
    durable_slots = int(os.environ.get("E2E_SLOTS", "50"))
    hatchet.worker(worker_name(), slots=50, durable_slots=durable_slots, workflows=tasks).start()


if __name__ == "__main__":
    main()
