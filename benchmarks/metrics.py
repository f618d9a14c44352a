"""The same load on an engine that tells Prometheus what it does and on one that does not, by turns.

And what it costs Postgres, with or without Prometheus, to count afterwards what the event log says of a run.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from benchmarks.figures import ratio
from benchmarks.installation import Installation
from benchmarks.processes import agents, cpu_seconds
from benchmarks.throughput import Turns, connect

WORKFLOW = "bench-metrics"
MODES = ("singly", "bulk")
ROUNDS = 8
SCRAPED_EVERY_SECONDS = 5.0
COUNTED_TIMES = 5

Figures = dict[str, Any]


def measure_metrics(installed: Installation, seconds: float) -> Figures:
    """Return CPU a run with metrics and without, and the ratios of the turns that followed each other.

    The engine starts anew for each turn; rounds begin with the one and with the other by turns.
    """
    rounds: list[dict[str, dict[str, Figures]]] = []
    began = datetime.now(UTC)
    for number in range(ROUNDS):
        order = ("off", "on") if number % 2 == 0 else ("on", "off")
        rounds.append({side: _turn(installed, side, seconds / ROUNDS) for side in order})
    counting = asyncio.run(_count_again(installed, began))
    installed.stop_engine()
    installed.start_engine()
    sides = {
        side: {mode: _medians([one[side][mode] for one in rounds]) for mode in MODES}
        for side in ("off", "on")
    }
    ratios = {
        mode: {
            name: round(
                median(ratio(one["on"][mode][name], one["off"][mode][name]) for one in rounds), 3
            )
            for name in ("engine_us", "runs_per_second")
        }
        for mode in MODES
    }
    return {**sides, "on_to_off": ratios, "counting": counting}


def _turn(installed: Installation, side: str, seconds: float) -> dict[str, Figures]:
    installed.stop_engine()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    installed.start_engine(
        SERVER_PROMETHEUS_ENABLED="true" if side == "on" else "false",
        SERVER_PROMETHEUS_ADDRESS=f"127.0.0.1:{port}",
    )
    with agents(installed.target, installed.target) as pair:
        connect(pair, WORKFLOW)
        taken = {}
        for mode in MODES:
            turn = Turns(pair, {"engine": installed.engine_pid}, WORKFLOW)
            with _scraping(port) if side == "on" else nullcontext():
                turn.take(mode, seconds)
            taken[mode] = turn.figures()
        return taken


@contextmanager
def _scraping(port: int) -> Iterator[None]:
    """Read the metrics again and again, as Prometheus does, and more often than most have it."""
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(SCRAPED_EVERY_SECONDS):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                answer.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


async def _count_again(installed: Installation, since: datetime) -> Figures:
    """Read what the event log says since then, by the minute as engines do, and change nothing."""
    from engine.states import TaskEventKind
    from engine.store import figures
    from engine.store.async_db import AsyncDatabase

    until = datetime.now(UTC)
    database = AsyncDatabase(installed.database_url)
    await database.open()
    runs = 0
    before = cpu_seconds(installed.postgres_pid)
    for _ in range(COUNTED_TIMES):
        begin = since
        while begin < until:
            end = min(begin + timedelta(seconds=10), until)
            rows = await database.fetch(figures.gather(begin, end))
            runs += sum(
                row.number
                for row in rows
                if row.timed is None and row.kind == TaskEventKind.FINISHED
            )
            begin = end
    used = cpu_seconds(installed.postgres_pid) - before
    await database.close()
    return {"runs": runs // COUNTED_TIMES, "postgres_us": round(used / max(runs, 1) * 1e6, 1)}


def _medians(turns: list[Figures]) -> Figures:
    return {name: round(median(turn[name] for turn in turns), 2) for name in turns[0]}
