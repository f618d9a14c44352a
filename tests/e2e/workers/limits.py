"""Tasks with rate limits; each says when it started."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from hatchet_sdk import Context, Hatchet
from hatchet_sdk.rate_limit import RateLimit, RateLimitDuration
from hatchet_sdk.runnables.workflow import BaseWorkflow
from pydantic import BaseModel

from tests.e2e.workers.signals import worker_name

hatchet = Hatchet()
SECOND = RateLimitDuration.SECOND


class Job(BaseModel):
    user: str = ""
    units: int = 1


def limited(key: str, units: int = 1) -> RateLimit:
    return RateLimit(static_key=key, units=units)


@hatchet.task(name="steady", input_validator=Job, rate_limits=[limited("steady")])
async def steady(given: Job, ctx: Context) -> dict[str, float]:
    return {"at": time.time()}


@hatchet.task(
    name="per-user",
    input_validator=Job,
    rate_limits=[
        RateLimit(
            dynamic_key="'user:' + input.user",
            units="input.units",
            limit=3,
            duration=RateLimitDuration.HOUR,
        )
    ],
)
async def per_user(given: Job, ctx: Context) -> dict[str, float]:
    return {"at": time.time()}


@hatchet.task(name="paused", input_validator=Job, rate_limits=[limited("paused")])
async def paused(given: Job, ctx: Context) -> dict[str, float]:
    return {"at": time.time()}


@hatchet.task(name="missing", input_validator=Job, rate_limits=[limited("missing")])
async def missing(given: Job, ctx: Context) -> dict[str, float]:
    return {"at": time.time()}


@hatchet.task(name="retried", input_validator=Job, retries=3, rate_limits=[limited("retried")])
async def retried(given: Job, ctx: Context) -> dict[str, float]:
    raise RuntimeError("again")


@hatchet.task(name="both", input_validator=Job, rate_limits=[limited("wide"), limited("narrow", 2)])
async def both(given: Job, ctx: Context) -> dict[str, float]:
    return {"at": time.time()}


WORKFLOWS: list[BaseWorkflow[Any]] = [steady, per_user, paused, missing, retried, both]
BY_NAME = {
    "steady": steady,
    "per-user": per_user,
    "paused": paused,
    "missing": missing,
    "retried": retried,
    "both": both,
}


# What the test calls


def put(key: str, limit: int, window: str = "HOUR") -> None:
    hatchet.rate_limits.put(key, limit, RateLimitDuration(window))


def pause(key: str, length: float) -> float:
    until = datetime.now(UTC) + timedelta(seconds=length)
    return hatchet.rate_limits.pause(key, until).timestamp()


def start(workflow: str, count: int = 1, user: str = "", units: int = 1) -> list[str]:
    item = BY_NAME[workflow].create_bulk_run_item(input=Job(user=user, units=units))
    return [run.workflow_run_id for run in BY_NAME[workflow].run_many_no_wait([item] * count)]


def results(workflow: str, count: int) -> list[Any]:
    item = BY_NAME[workflow].create_bulk_run_item(input=Job())
    return BY_NAME[workflow].run_many([item] * count)


def listed(search: str) -> list[tuple[str, int, int, str]]:
    found = hatchet.rate_limits.list(search=search).rows or []
    return [(one.key, one.value, one.limit_value, one.window) for one in found]


def main() -> None:
    hatchet.worker(worker_name(), slots=20, workflows=WORKFLOWS).start()


if __name__ == "__main__":
    main()
