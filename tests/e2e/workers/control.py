"""Tasks to be cancelled and replayed."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from hatchet_sdk import Context, EmptyModel, Hatchet
from hatchet_sdk.clients.rest.models.v1_task_status import V1TaskStatus
from hatchet_sdk.features.runs import BulkCancelReplayOpts, RunFilter

from tests.e2e.workers.signals import POLL_SECONDS, is_open, mark, pass_gate, worker_name

hatchet = Hatchet()


@hatchet.task(name="hold")
async def hold(given: EmptyModel, ctx: Context) -> dict[str, str]:
    mark("holding", ctx.workflow_run_id)
    try:
        await pass_gate("hold")
    except asyncio.CancelledError:
        mark("interrupted", ctx.workflow_run_id)
        raise
    return {"held": "on"}


@hatchet.task(name="hold-in-thread")
def hold_in_thread(given: EmptyModel, ctx: Context) -> dict[str, str]:
    mark("thread-holding", ctx.workflow_run_id)
    while not ctx.is_cancelled:
        time.sleep(POLL_SECONDS)
    mark("thread-noticed", ctx.workflow_run_id)
    return {"too": "late"}


@hatchet.task(name="give-up", retries=3)
async def give_up(given: EmptyModel, ctx: Context) -> None:
    mark("giving-up")
    await ctx.aio_cancel()
    await pass_gate("never")


chain = hatchet.workflow(name="chain")


@chain.task()
async def link(given: EmptyModel, ctx: Context) -> None:
    mark("link", ctx.workflow_run_id)
    await pass_gate("never")


@chain.task(parents=[link])
async def next_link(given: EmptyModel, ctx: Context) -> None:
    mark("next-link")


@chain.on_failure_task()
async def chain_failed(given: EmptyModel, ctx: Context) -> None:
    mark("chain-failed")


@hatchet.task(name="switch")
async def switch(given: EmptyModel, ctx: Context) -> dict[str, int]:
    if not is_open("switch"):
        raise RuntimeError("switched off")
    return {"attempt": ctx.attempt_number}


# Calls


async def start(task: str, metadata: dict[str, str] | None = None) -> str:
    found: Any = {
        "hold": hold,
        "hold-in-thread": hold_in_thread,
        "give-up": give_up,
        "chain": chain,
        "switch": switch,
    }[task]
    ref = await found.aio_run(wait_for_result=False, additional_metadata=metadata or {})
    return str(ref.workflow_run_id)


async def start_many(count: int, metadata: dict[str, str]) -> list[str]:
    items = [switch.create_bulk_run_item(additional_metadata=metadata) for _ in range(count)]
    refs = await switch.aio_run_many(items, wait_for_result=False)
    return [ref.workflow_run_id for ref in refs]


async def result(run_id: str) -> Any:
    return await hatchet.runs.get_run_ref(run_id).aio_result()


def details(run_id: str) -> Any:
    found = hatchet.runs.get_details(run_id)
    tasks = {name: [task.status.name, task.error] for name, task in found.task_runs.items()}
    return {"status": found.status.name, "tasks": tasks}


def cancel(run_id: str) -> None:
    hatchet.runs.cancel(run_id)


def replay(run_id: str) -> None:
    hatchet.runs.replay(run_id)


def cancel_by_ids(run_ids: list[str]) -> None:
    hatchet.runs.bulk_cancel(BulkCancelReplayOpts(ids=run_ids))


def replay_by_ids(run_ids: list[str]) -> None:
    hatchet.runs.bulk_replay(BulkCancelReplayOpts(ids=run_ids))


def _filter(metadata: dict[str, str], statuses: list[str]) -> RunFilter:
    return RunFilter(
        since=datetime.now(UTC) - timedelta(hours=1),
        additional_metadata=metadata,
        statuses=[V1TaskStatus(status) for status in statuses],
    )


def cancel_by_filter(metadata: dict[str, str], statuses: list[str]) -> None:
    hatchet.runs.bulk_cancel(BulkCancelReplayOpts(filters=_filter(metadata, statuses)))


def replay_by_filter(metadata: dict[str, str], statuses: list[str]) -> None:
    hatchet.runs.bulk_replay(BulkCancelReplayOpts(filters=_filter(metadata, statuses)))


def attempts(run_ids: list[str]) -> list[int]:
    return [hatchet.runs.get_task_run(run_id).attempt or 0 for run_id in run_ids]


def main() -> None:
    hatchet.worker(
        worker_name(), slots=40, workflows=[hold, hold_in_thread, give_up, chain, switch]
    ).start()


if __name__ == "__main__":
    main()
