"""A scheduler without rules: every worker takes every task."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from engine.domain.assignment import ReadyTask
from engine.operations.assign_tasks import assign_tasks
from engine.operations.parts.fail_attempts import Failure, fail_attempts
from engine.operations.parts.versions import load_versions, ready_task
from engine.states import Status, TaskEventKind
from engine.store.changes import Changes
from engine.store.query import Operation
from tests.simulation.store import Row

if TYPE_CHECKING:
    from tests.simulation.world import World

SWEEP_SECONDS = 5.0
UNDELIVERED_SECONDS = 8.0


class Scheduler:
    """Gives queued tasks to workers, soon; now and then it looks at the rows for what it was not told."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self._world, self._dice = world, dice
        self._queue: dict[tuple[UUID, int], ReadyTask] = {}
        self._news = asyncio.Event()

    def take(self, changes: Changes) -> None:
        for _, task in changes.ready:
            self._queue[task.id, task.retry_count] = task
            self._news.set()

    async def run(self) -> None:
        while True:
            while self._queue:
                await self._assign()
            self._news.clear()
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                await self._sweep()

    async def _assign(self) -> None:
        workers = [worker for worker in self._world.workers if worker.is_alive]
        if not workers:
            await asyncio.sleep(0.1)
            return
        decisions = [(task, self._dice.choice(workers).id) for task in self._queue.values()]
        self._queue.clear()
        world = self._world
        assigned = await world.plainly(lambda: assign_tasks(decisions, {}, world.loop.today))
        for worker_id, action in assigned:
            world.note("assigned", action.task_id, action.durable_invocation, worker_id)
            world.spawn(world.deliver(worker_id, action), "an action")

    async def _sweep(self) -> None:
        """Queue what is queued; take back what was assigned and never started."""
        world = self._world
        ids = {row["version_id"] for row in world.store.rows("workflow")}
        versions = await world.plainly(lambda: load_versions(ids))
        for row in world.store.rows("task"):
            if row["status"] == Status.QUEUED:
                again = ready_task(
                    versions[row["version_id"]],
                    row["id"],
                    row["step_id"],
                    retry_count=row["retry_count"],
                    priority=1,
                    desired_worker_id=None,
                    desired_labels=None,
                    concurrency_keys=None,
                )
                self._queue[again.id, again.retry_count] = again
            elif self._is_undelivered(row):
                await world.insist(partial(_give_up, row, world.loop.today))

    def _is_undelivered(self, row: Row) -> bool:
        if row["status"] != Status.RUNNING or row["is_evicted"] or row["started_at"]:
            return False
        waited: timedelta = self._world.loop.today - row["assigned_at"]
        return waited.total_seconds() > UNDELIVERED_SECONDS


def _give_up(row: Row, now: datetime) -> Operation[None]:
    """Begin another attempt of a task that did not reach its worker."""
    failure = Failure(
        row["id"],
        "undelivered",
        TaskEventKind.REASSIGNED,
        retry_count=row["retry_count"],
        is_internal=True,
        unless_started=True,
    )
    yield from fail_attempts([failure], now)
