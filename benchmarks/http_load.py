"""Load over HTTP from this process: a few connections, kept open, with one request at a time on each."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.processes import cpu_seconds

CONNECTIONS = 16
ROUNDS = 3
WARM_UP_SECONDS = 1.0


@dataclass(slots=True)
class Measured:
    """Requests to one web process, and what was measured of them."""

    pid: int
    port: int
    requests: Sequence[bytes]
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def measure(self, seconds: float) -> None:
        before = cpu_seconds(self.pid)
        started = time.monotonic()
        done = asyncio.run(load(self.port, self.requests, seconds))
        self.rates.append(done / (time.monotonic() - started))
        self.cpu_us.append((cpu_seconds(self.pid) - before) / done * 1e6)

    def figures(self) -> dict[str, float]:
        return {
            "per_second": round(statistics.median(self.rates), 1),
            "web_cpu_us": round(statistics.median(self.cpu_us), 1),
        }


def measure_in_turns(measured: Sequence[Measured], seconds: float) -> None:
    """Warm all of them up, then let them take turns, so that what else goes on meets each."""
    for one in measured:
        asyncio.run(load(one.port, one.requests, WARM_UP_SECONDS))
    for _ in range(ROUNDS):
        for one in measured:
            one.measure(seconds)


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if body:
        headers = {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def load(port: int, requests: Sequence[bytes], seconds: float) -> int:
    """Send on all connections, one request after the other; return how many were answered."""
    deadline = time.monotonic() + seconds

    async def send(number: int) -> int:
        done = 0
        async with connection(port) as ask:
            while time.monotonic() < deadline:
                await ask.answer(requests[(number + done * CONNECTIONS) % len(requests)])
                done += 1
        return done

    return sum(await asyncio.gather(*map(send, range(CONNECTIONS))))


async def paced(port: int, wanted: bytes, per_second: float, seconds: float) -> list[float]:
    """Send at an even pace whatever the answers take; return how late each answer was, in milliseconds.

    A request that finds all connections busy waits for one, which counts.
    """
    started = time.monotonic()
    numbers = iter(range(int(per_second * seconds)))
    delays: list[float] = []

    async def send() -> None:
        async with connection(port) as ask:
            for number in numbers:
                due = started + number / per_second
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await ask.answer(wanted)
                delays.append((time.monotonic() - due) * 1000)

    await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
    return delays


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def answer(self, wanted: bytes) -> bytes:
        """Send a request and return the body of its answer; RuntimeError unless that is a 200."""
        return (await self.answer_with_head(wanted))[0]

    async def answer_with_head(self, wanted: bytes) -> tuple[bytes, bytes]:
        """The same, with what stands in front of the body."""
        self._writer.write(wanted)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not answered: {head.decode()}")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return await self._reader.readexactly(int(length)), head


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
