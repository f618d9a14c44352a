"""Background tasks end, whatever they make of being cancelled."""

from __future__ import annotations

import asyncio
import contextlib

from engine.runtime.loops.ending import end_tasks


async def test_tasks_that_swallow_a_cancellation_are_ended_too() -> None:
    async def deaf_once() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def broken() -> None:
        raise ValueError("on its own account")

    tasks = [asyncio.create_task(deaf_once()), asyncio.create_task(broken())]
    await asyncio.sleep(0)
    await asyncio.wait_for(end_tasks(tasks), 20)
    deaf, failed = tasks
    assert deaf.cancelled()
    assert isinstance(failed.exception(), ValueError)


async def test_no_tasks_are_ended_at_once() -> None:
    await end_tasks([])
