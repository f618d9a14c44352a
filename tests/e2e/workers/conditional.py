"""Workflows whose tasks wait for sleeps and events, are skipped, or are cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hatchet_sdk import (
    Context,
    EmptyModel,
    Hatchet,
    ParentCondition,
    SleepCondition,
    UserEventCondition,
    or_,
)
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, worker_name

hatchet = Hatchet()


class Toss(BaseModel):
    number: int


branching = hatchet.workflow(name="branching", input_validator=Toss)


@branching.task()
def toss(given: Toss, ctx: Context) -> Toss:
    return given


@branching.task(parents=[toss], wait_for=[SleepCondition(timedelta(seconds=1))])
def after_sleep(given: Toss, ctx: Context) -> dict[str, Any]:
    return {"triggers": triggers_of(ctx)}


@branching.task(
    parents=[toss],
    wait_for=[
        or_(
            SleepCondition(timedelta(minutes=5)),
            UserEventCondition("branching:go", expression="input.number > 2"),
        )
    ],
)
def after_event(given: Toss, ctx: Context) -> dict[str, Any]:
    return {"triggers": triggers_of(ctx)}


@branching.task(
    parents=[toss],
    wait_for=[SleepCondition(timedelta(minutes=5))],
    skip_if=[UserEventCondition("branching:skip")],
)
def skipped_by_event(given: Toss, ctx: Context) -> dict[str, Any]:
    mark("skipped-by-event-ran")
    return {}


@branching.task(parents=[toss], skip_if=[ParentCondition(toss, "output.number > 50")])
def low(given: Toss, ctx: Context) -> dict[str, str]:
    return {"branch": "low"}


@branching.task(parents=[toss], skip_if=[ParentCondition(toss, "output.number <= 50")])
def high(given: Toss, ctx: Context) -> dict[str, str]:
    return {"branch": "high"}


@branching.task(parents=[after_sleep, after_event, skipped_by_event, low, high])
def summary(given: Toss, ctx: Context) -> dict[str, bool]:
    return {
        "low": ctx.was_skipped(low),
        "high": ctx.was_skipped(high),
        "skipped_by_event": ctx.was_skipped(skipped_by_event),
    }


waiting = hatchet.workflow(name="waiting")


@waiting.task()
def begin(given: EmptyModel, ctx: Context) -> dict[str, str]:
    return {"begun": "yes"}


@waiting.task(
    parents=[begin],
    wait_for=[SleepCondition(timedelta(minutes=5))],
    cancel_if=[UserEventCondition("waiting:stop")],
)
def never(given: EmptyModel, ctx: Context) -> None:
    mark("never-ran")


gated = hatchet.workflow(name="gated")


@gated.task(wait_for=[UserEventCondition("gated:go")])
def gate(given: EmptyModel, ctx: Context) -> dict[str, Any]:
    return {"triggers": triggers_of(ctx)}


def triggers_of(ctx: Context) -> Any:
    return dict(ctx.action.action_payload.triggers)


# Calls


async def start(workflow: str, number: int = 0) -> str:
    if workflow == "branching":
        ref = await branching.aio_run(Toss(number=number), wait_for_result=False)
    else:
        found = {"waiting": waiting, "gated": gated}[workflow]
        ref = await found.aio_run(wait_for_result=False)
    return ref.workflow_run_id


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def push(key: str, payload: dict[str, Any]) -> None:
    hatchet.event.push(key, payload)


def main() -> None:
    hatchet.worker(worker_name(), slots=20, workflows=[branching, waiting, gated]).start()


if __name__ == "__main__":
    main()
