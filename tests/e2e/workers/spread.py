"""Events, children, streams, logs and metadata: what goes from task to task and to whoever listens."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from hatchet_sdk import BulkPushEventWithMetadata, Context, EmptyModel, Hatchet
from pydantic import BaseModel

from tests.e2e.workers.signals import is_open, mark, worker_name

hatchet = Hatchet()


@hatchet.task(name="on-order", on_events=["order:created"])
async def on_order(given: EmptyModel, ctx: Context) -> dict[str, Any]:
    return {
        "input": given,
        "metadata": ctx.additional_metadata,
        "event_id": ctx.triggering_event_id,
        "event_key": ctx.triggering_event_key,
        "by_event": ctx.was_triggered_by_event,
    }


@hatchet.task(name="on-any-order", on_events=["order:*"])
async def on_any_order(given: EmptyModel, ctx: Context) -> dict[str, Any]:
    return {"key": ctx.triggering_event_key}


class Child(BaseModel):
    number: int


@hatchet.task(name="child", input_validator=Child)
async def child(given: Child, ctx: Context) -> dict[str, Any]:
    mark("children", str(given.number))
    return {
        "number": given.number,
        "parent": ctx.parent_workflow_run_id,
        "metadata": ctx.additional_metadata,
    }


@hatchet.task(name="parent", retries=1)
async def parent(given: EmptyModel, ctx: Context) -> Any:
    """Spawns the same children in both attempts; the first attempt fails when they are done."""
    one = await child.aio_run(Child(number=0))
    many = await child.aio_run_many(
        [child.create_bulk_run_item(Child(number=number)) for number in range(1, 6)]
    )
    keyed = [await child.aio_run(Child(number=6), child_key="the same") for _ in range(2)]
    if ctx.retry_count == 0:
        raise RuntimeError("once more")
    return {"children": [one, *many, *keyed]}


HELLO = "hello?"
PIECES = [f"{number}:{'ä€' * (number % 5)}\n" for number in range(100)]


@hatchet.task(name="speak")
async def speak(given: EmptyModel, ctx: Context) -> dict[str, int]:
    """Calls until the test says that everybody hears it: what nobody hears is not kept."""
    while not is_open(f"speak-{ctx.workflow_run_id}"):
        await ctx.aio_put_stream(HELLO)
        await asyncio.sleep(0.05)
    for piece in PIECES:
        await ctx.aio_put_stream(piece)
    return {"pieces": len(PIECES)}


@hatchet.task(name="speak-in-thread")
def speak_in_thread(given: EmptyModel, ctx: Context) -> dict[str, int]:
    while not is_open(f"speak-{ctx.workflow_run_id}"):
        ctx.put_stream(HELLO)
        time.sleep(0.05)
    for piece in PIECES:
        ctx.put_stream(piece)
    return {"pieces": len(PIECES)}


@hatchet.task(name="write-log", retries=1)
async def write_log(given: EmptyModel, ctx: Context) -> None:
    for number in range(20):
        ctx.log(f"line {number} of attempt {ctx.attempt_number}")
    ctx.log({"structured": True})
    if ctx.retry_count == 0:
        raise RuntimeError("once more")


# Calls


async def push(key: str, payload: dict[str, Any], metadata: dict[str, str]) -> Any:
    pushed = await hatchet.event.aio_push(key, payload, additional_metadata=metadata)
    return {"id": pushed.event_id, "key": pushed.key}


def push_many(keys: list[str]) -> list[Any]:
    events = [BulkPushEventWithMetadata(key=key, payload={"key": key}) for key in keys]
    return [[pushed.event_id, pushed.key] for pushed in hatchet.event.bulk_push(events)]


def runs_of_event(event_id: str) -> Any:
    listed = hatchet.runs.list(triggering_event_external_id=event_id, include_payloads=True)
    return [
        {
            "workflow": row.workflow_name,
            "status": row.status,
            "output": row.output,
            "id": row.metadata.id,
        }
        for row in listed.rows
    ]


async def run_parent(metadata: dict[str, str]) -> Any:
    ref = await parent.aio_run(wait_for_result=False, additional_metadata=metadata)
    return {"id": ref.workflow_run_id, **await ref.aio_result()}


async def start_parent() -> str:
    return (await parent.aio_run(wait_for_result=False)).workflow_run_id


async def result_of_parent(run_id: str) -> Any:
    return await parent.aio_get_result(run_id)


def runs_of_parent(run_id: str) -> int:
    return len(hatchet.runs.list(parent_task_external_id=run_id).rows)


async def start_speaking(in_thread: bool) -> str:
    task: Any = speak_in_thread if in_thread else speak
    return str((await task.aio_run(wait_for_result=False)).workflow_run_id)


async def listen(run_id: str) -> list[str]:
    pieces: list[str] = []
    is_heard = False
    async for piece in hatchet.runs.subscribe_to_stream(run_id):
        if piece != HELLO:
            pieces.append(piece)
        elif not is_heard:
            is_heard = True
            mark(f"heard-{run_id}")
    return pieces


async def start_logging() -> str:
    return (await write_log.aio_run(wait_for_result=False)).workflow_run_id


def logs(run_id: str) -> Any:
    return [[row.message, row.level, row.attempt] for row in hatchet.logs.list(run_id).rows or []]


def runs_with(metadata: dict[str, str]) -> Any:
    listed = hatchet.runs.list(additional_metadata=metadata, only_tasks=True)
    return sorted(row.workflow_name or "" for row in listed.rows)


def main() -> None:
    hatchet.worker(
        worker_name(),
        slots=20,
        workflows=[on_order, on_any_order, child, parent, speak, speak_in_thread, write_log],
    ).start()


if __name__ == "__main__":
    main()
