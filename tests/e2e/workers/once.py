"""Workflows whose runs have idempotency keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hatchet_sdk import (
    BulkTriggerIdempotencyCollisionError,
    Context,
    Hatchet,
    IdempotencyCollisionError,
    StatusBasedIdempotencyConfig,
    TTLBasedIdempotencyConfig,
)
from hatchet_sdk.clients.rest.exceptions import ApiException
from pydantic import BaseModel

from tests.e2e.workers.signals import mark, pass_gate, worker_name

hatchet = Hatchet()


class Order(BaseModel):
    id: str


paid = hatchet.workflow(
    name="paid",
    input_validator=Order,
    on_events=["order:paid"],
    idempotency=TTLBasedIdempotencyConfig(
        key_expression="'paid-' + input.id", ttl=timedelta(hours=1)
    ),
)


@paid.task()
async def pay(given: Order, ctx: Context) -> dict[str, str]:
    mark("paid", given.id)
    return {"paid": given.id}


synced = hatchet.workflow(
    name="synced",
    input_validator=Order,
    idempotency=StatusBasedIdempotencyConfig(
        key_expression="'synced-' + input.id", fallback_ttl=timedelta(hours=1)
    ),
)


@synced.task(retries=1)
async def sync(given: Order, ctx: Context) -> dict[str, int]:
    if ctx.retry_count == 0:
        raise RuntimeError("the first attempt fails")
    mark("syncing", given.id)
    await pass_gate(f"sync-{given.id}")
    return {"attempt": ctx.attempt_number}


WORKFLOWS = {"paid": paid, "synced": synced}

# Calls


async def start(workflow: str, order: str) -> Any:
    """Return the run's id, or whose run holds the key."""
    try:
        ref = await WORKFLOWS[workflow].aio_run(Order(id=order), wait_for_result=False)
    except IdempotencyCollisionError as error:
        return {"holder": error.existing_run_external_id}
    return ref.workflow_run_id


async def start_many(workflow: str, orders: list[str]) -> Any:
    chosen = WORKFLOWS[workflow]
    items = [chosen.create_bulk_run_item(input=Order(id=order)) for order in orders]
    try:
        await chosen.aio_run_many(items, wait_for_result=False)
    except BulkTriggerIdempotencyCollisionError as error:
        return {
            "started": error.successful_workflow_run_external_ids,
            "holders": [one.existing_run_external_id for one in error.collisions],
        }
    return None


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


async def cancel(run_id: str) -> None:
    await hatchet.runs.aio_cancel(run_id)


async def replay(run_id: str) -> Any:
    """Return the HTTP status of a refusal."""
    try:
        await hatchet.runs.aio_replay(run_id)
    except ApiException as error:
        return error.status
    return None


async def push(order: str) -> None:
    await hatchet.event.aio_push("order:paid", {"id": order})


def main() -> None:
    hatchet.worker(worker_name(), slots=10, workflows=[paid, synced]).start()


if __name__ == "__main__":
    main()
