"""A process that plays a client or a worker: one JSON command a line in, one JSON answer a line out."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import orjson
import uvloop
from psycopg_pool import AsyncConnectionPool

from benchmarks.durable_worker import DurableWorker
from benchmarks.parent import ParentWorker
from benchmarks.shapes import SCOPE
from benchmarks.wire import Count, LeanClient, LeanWorker, Tally, Target

Answer = dict[str, Any]


class SqlClient:
    """Enqueues in transactions of its own, each with nothing else in it."""

    def __init__(self, conninfo: str) -> None:
        self._pool = AsyncConnectionPool(
            conninfo, min_size=4, max_size=8, open=False, kwargs={"autocommit": True}
        )

    async def open(self) -> None:
        await self._pool.open(wait=True)

    async def enqueue(self, workflow: str) -> None:
        text = orjson.dumps({"sent": time.monotonic(), "key": "key-0"}).decode()
        async with self._pool.connection() as connection:
            await connection.execute("SELECT hatchet_v1.enqueue(%s, %s::jsonb)", [workflow, text])


class Agent:
    """Every public coroutine is a command; its keyword arguments are the command's fields."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._client = LeanClient(target)
        self._worker = LeanWorker(target)
        self._durable = DurableWorker(target, evicts=False)
        self._sql = SqlClient("")

    async def put_workflow(self, workflow: str, shape: str = "plain") -> Answer:
        await self._client.put_workflow(workflow, shape)
        return {}

    async def put_limit(self) -> Answer:
        await self._client.put_limit()
        return {}

    async def work(
        self,
        workflows: list[str],
        slots: int,
        holds: bool = False,
        shape: str = "plain",
        workers: int = 1,
    ) -> Answer:
        """Start workers for workflows of one shape; with `holds` they never complete a task."""
        self._worker = LeanWorker(self._target, holds=holds)
        for _ in range(workers):
            await self._worker.start(dict.fromkeys(workflows, shape), slots)
        return {}

    async def work_as_parent(self, workflow: str, child: str, count: int) -> Answer:
        """Start a worker whose tasks spawn children in one call and wait for all of them."""
        self._worker = ParentWorker(self._target, child, count)
        await self._worker.start({workflow: "plain"}, 1)
        return {}

    async def work_durably(
        self, workflow: str, slots: int, evicts: bool, sleep: str = ""
    ) -> Answer:
        """Start a worker whose durable tasks wait once."""
        self._durable = DurableWorker(self._target, evicts=evicts, sleep=sleep)
        await self._durable.start_durable(workflow, slots)
        return {}

    async def wait_parked(self, count: int, seconds: float) -> Answer:
        """Wait until so many durable tasks wait, or time is up."""
        await _reach(self._durable.parked, count, seconds)
        return {"parked": self._durable.parked.value}

    async def wait_resumed(self, count: int, seconds: float) -> Answer:
        """Wait until so many durable tasks went on, or time is up; tell how long after their events."""
        await _reach(self._durable.resumed, count, seconds)
        return {"delays_ms": [delay * 1000 for delay in self._durable.resume_delays]}

    async def push(self, keys: int, per_second: float) -> Answer:
        """Push one event for each key, at an even pace."""
        started = time.monotonic()
        calls = []
        for number in range(keys):
            delay = started + number / per_second - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            calls.append(asyncio.ensure_future(self._client.push(f"bench:key-{number}")))
        await asyncio.gather(*calls)
        return {}

    async def forget(self) -> Answer:
        """Start a new tally."""
        self._worker.tally = Tally()
        return {}

    async def wait_started(self, count: int, seconds: float) -> Answer:
        """Wait until `count` tasks of this tally have started, or time is up; tell the delays."""
        tally = self._worker.tally
        await _reach(tally.started_count, count, seconds)
        return {"delays_ms": [delay * 1000 for delay in tally.delays]}

    async def wait_completed(self, count: int, seconds: float) -> Answer:
        """Wait until `count` tasks of this tally are completed, or time is up."""
        tally = self._worker.tally
        await _reach(tally.completed_count, count, seconds)
        return {
            "completed": tally.completed_count.value,
            "last_completed": tally.last_completed,
        }

    async def singly(self, workflow: str, seconds: float, concurrency: int) -> Answer:
        """Trigger one run a call, `concurrency` calls at a time, for so many seconds."""
        started = time.monotonic()
        count = 0

        async def caller() -> None:
            nonlocal count
            while time.monotonic() - started < seconds:
                await self._client.trigger(workflow)
                count += 1

        await asyncio.gather(*(caller() for _ in range(concurrency)))
        return {"count": count, "started": started, "seconds": time.monotonic() - started}

    async def enqueue(
        self, workflow: str, count: int, size: int, concurrency: int, keys: int = 1
    ) -> Answer:
        """Trigger exactly `count` runs in calls of `size`, with that many keys in turn."""
        started = time.monotonic()
        calls = iter(range(count // size))

        async def caller() -> None:
            for _ in calls:
                await self._client.trigger_bulk(workflow, size, keys)

        await asyncio.gather(*(caller() for _ in range(concurrency)))
        seconds = time.monotonic() - started
        return {"count": count // size * size, "started": started, "seconds": seconds}

    async def connect_sql(self, conninfo: str) -> Answer:
        """Open the connections that `paced` uses in SQL."""
        self._sql = SqlClient(conninfo)
        await self._sql.open()
        return {}

    async def paced(
        self, workflow: str, per_second: float, seconds: float, way: str = "call"
    ) -> Answer:
        """Trigger at an even pace whatever the answers take; tell how many calls succeeded.

        By the way "event" the event of the workflow's name is pushed, by "sql" a transaction enqueues.
        """
        ways: dict[str, Callable[[str], Coroutine[Any, Any, Any]]] = {
            "call": self._client.trigger,
            "event": partial(self._client.push, scope=SCOPE),
            "sql": self._sql.enqueue,
        }
        begin = ways[way]
        started = time.monotonic()
        calls = []
        for number in range(int(per_second * seconds)):
            delay = started + number / per_second - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            calls.append(asyncio.ensure_future(begin(workflow)))
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = sum(isinstance(result, BaseException) for result in results)
        return {"count": len(results) - refused, "refused": refused}

    async def ping(self, count: int) -> Answer:
        """Time the cheapest unary call, one after the other."""
        times = []
        for _ in range(count):
            started = time.monotonic()
            await self._client.ping()
            times.append((time.monotonic() - started) * 1000)
        return {"times_ms": times}


async def _reach(count: Count, goal: int, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(count.reach(goal), seconds)


async def _serve(target: Target) -> None:
    agent = Agent(target)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async for line in reader:
        command = orjson.loads(line)
        answer = await getattr(agent, command.pop("do"))(**command)
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(_serve(Target(sys.argv[1], sys.argv[2])))
