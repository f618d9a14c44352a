"""How many runs a second, and what one costs: against the engine, the empty server and plain Postgres."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.figures import ratio
from benchmarks.installation import Installation
from benchmarks.processes import ROOT, AgentProcess, agents, cpu_seconds, empty_server, end
from benchmarks.raw_postgres import BatchSizes, measure_life_cycles
from engine.ids import new_id

CONCURRENCY = 64
SLOTS = 500
BULK_SIZE = 100
KEYS = 100
WAIT_SECONDS = 90.0
TURNS = 5
WORKFLOW = "bench-lean"
Figures = dict[str, Any]


def measure_lean(installed: Installation, seconds: float) -> Figures:
    """Run the same load, one by one and in bulk, on the engine and on the empty server.

    The two take turns, so that what else the machine does meets both.
    """
    figures: Figures = {"engine": {}, "empty_server": {}, "raw_postgres": {}, "ratios": {}}
    with ExitStack() as stack:
        empty, empty_pid = stack.enter_context(empty_server())
        pair = stack.enter_context(agents(installed.target, installed.target))
        empty_pair = stack.enter_context(agents(empty, empty))
        connect(pair, WORKFLOW)
        connect(empty_pair, WORKFLOW)
        for mode in ("singly", "bulk"):
            pids = {"engine": installed.engine_pid, "postgres": installed.postgres_pid}
            mine = Turns(pair, pids, WORKFLOW)
            floor = Turns(empty_pair, {"engine": empty_pid}, WORKFLOW)
            since = new_id()
            for _ in range(TURNS):
                mine.take(mode, seconds / TURNS)
                floor.take(mode, seconds / TURNS)
            sizes = _batch_sizes(installed.database, since)
            figures["engine"][mode] = {**mine.figures(), "batches": sizes}
            figures["empty_server"][mode] = floor.figures()
            raw = measure_life_cycles(
                installed.database_url, installed.postgres_pid, _rounded(sizes), seconds
            )
            figures["raw_postgres"][mode] = raw
            figures["ratios"][mode] = _ratios(figures, mode)
    return figures


def _ratios(figures: Figures, mode: str) -> dict[str, float]:
    mine, floor, raw = (figures[side][mode] for side in ("engine", "empty_server", "raw_postgres"))
    return {
        "engine_cpu_to_empty_server": ratio(mine["engine_us"], floor["engine_us"]),
        "postgres_cpu_to_raw": ratio(mine["postgres_us"], raw["postgres_us"]),
        "runs_to_raw_life_cycles": ratio(mine["runs_per_second"], raw["per_second"]),
    }


def measure_enqueue(installed: Installation, count: int) -> Figures:
    """Trigger in calls of 1,000 while no worker is there for the workflow."""
    with agents(installed.target) as (client,):
        client.ask("put_workflow", workflow="bench-enqueue")
        pids = {"engine": installed.engine_pid, "postgres": installed.postgres_pid}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        sent = client.ask(
            "enqueue", workflow="bench-enqueue", count=count, size=1000, concurrency=4
        )
        return {
            "runs": sent["count"],
            "runs_per_second": round(sent["count"] / sent["seconds"], 1),
            **_cost(pids, before, sent["count"]),
        }


def measure_sdk(installed: Installation, seconds: float) -> Figures:
    """Trigger one by one with the lean client while the official SDK's worker does the work."""
    with sdk_worker(installed) as worker, agents(installed.target) as (client,):
        since, started = new_id(), time.time()
        pids = {"engine": installed.engine_pid, "sdk_worker": worker.pid}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        sent = client.ask("singly", workflow="bench-sdk", seconds=seconds, concurrency=16)
        done, last = _wait_for_runs(installed.database, since, sent["count"])
        return {
            "runs": done,
            "runs_per_second": round(done / (last - started), 1) if done else 0.0,
            **_cost(pids, before, max(done, 1)),
        }


@contextlib.contextmanager
def sdk_worker(installed: Installation) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker of the official SDK, whose only task does nothing."""
    worker = subprocess.Popen(
        [sys.executable, str(Path("benchmarks", "sdk_worker.py"))],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "HATCHET_CLIENT_TOKEN": installed.target.token,
            "HATCHET_CLIENT_HOST_PORT": installed.target.address,
            "HATCHET_CLIENT_SERVER_URL": f"http://127.0.0.1:{installed.http_port}",
            "HATCHET_CLIENT_TLS_STRATEGY": "none",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_worker(installed.database, "bench-sdk:bench-sdk")
        yield worker
    finally:
        end(worker)


def connect(pair: list[AgentProcess], workflow: str) -> None:
    """Have a worker ready for the workflow, and everything warm."""
    client, worker = pair
    client.ask("put_workflow", workflow=workflow)
    worker.ask("work", workflows=[workflow], slots=SLOTS)
    _load("singly", pair, workflow, 1.0)


class Turns:
    """One side's turns at the load: what they did and cost together."""

    def __init__(self, pair: list[AgentProcess], pids: Mapping[str, int], workflow: str) -> None:
        self._pair, self._workflow = pair, workflow
        self._pids = {**pids, "client": pair[0].pid, "worker": pair[1].pid}
        self.forget()

    def forget(self) -> None:
        """Start anew, after a turn that was to warm up."""
        self._cpu = dict.fromkeys(self._pids, 0.0)
        self._sent = self._completed = 0
        self._seconds = 0.0

    def take(self, mode: str, seconds: float) -> None:
        before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        sent, done = _load(mode, self._pair, self._workflow, seconds)
        for name, pid in self._pids.items():
            self._cpu[name] += cpu_seconds(pid) - before[name]
        self._sent += sent["count"]
        self._completed += done["completed"]
        self._seconds += done["last_completed"] - sent["started"]

    def figures(self) -> Figures:
        return {
            "runs": self._completed,
            "unfinished": self._sent - self._completed,
            "runs_per_second": round(self._completed / self._seconds, 1),
            **{
                f"{name}_us": round(used / max(self._completed, 1) * 1e6, 1)
                for name, used in self._cpu.items()
            },
        }


def _load(
    mode: str, pair: list[AgentProcess], workflow: str, seconds: float
) -> tuple[Figures, Figures]:
    """Trigger in one of the two ways; return what was sent, and what came back when all was done."""
    client, worker = pair
    worker.ask("forget")
    if mode == "singly":
        sent = client.ask("singly", workflow=workflow, seconds=seconds, concurrency=CONCURRENCY)
    else:
        count = int(seconds * 10) * BULK_SIZE
        sent = client.ask(
            "enqueue", workflow=workflow, count=count, size=BULK_SIZE, concurrency=2, keys=KEYS
        )
    return sent, worker.ask("wait_completed", count=sent["count"], seconds=WAIT_SECONDS)


def _cost(pids: Mapping[str, int], before: Mapping[str, float], count: int) -> dict[str, float]:
    """Return microseconds of CPU for each run, by process."""
    return {
        f"{name}_us": round((cpu_seconds(pid) - before[name]) / count * 1e6, 1)
        for name, pid in pids.items()
    }


def _batch_sizes(database: psycopg.Connection, since: UUID) -> dict[str, float]:
    """Return mean rows per transaction by phase: rows never updated keep who inserted them."""
    event_phases = {"assign": 2, "start": 4, "complete": 6}
    sizes = {"insert": _mean_batch(database, "engine_payload", "owner_id", 1, since)}
    for phase, kind in event_phases.items():
        sizes[phase] = _mean_batch(database, "engine_taskevent", "id", kind, since)
    sizes["assigned_at_once"] = _share_assigned_at_once(database, since)
    return sizes


def _mean_batch(
    database: psycopg.Connection, table: str, key: str, kind: int, since: UUID
) -> float:
    row = database.execute(
        f"SELECT count(*)::float8 / greatest(1, count(DISTINCT xmin::text)) FROM {table}"  # noqa: S608
        f" WHERE {key} >= %s AND kind = %s",
        [since, kind],
    ).fetchone()
    return round(float(row[0]), 1) if row else 0.0


def _share_assigned_at_once(database: psycopg.Connection, since: UUID) -> float:
    """Return the share of tasks whose assignment was committed together with their creation."""
    row = database.execute(
        """SELECT count(*) FILTER (WHERE e.xmin::text = p.xmin::text)::float8 / greatest(1, count(*))
             FROM engine_taskevent e JOIN engine_payload p ON p.owner_id = e.run_id AND p.kind = 1
            WHERE e.id >= %s AND e.kind = 2""",
        [since],
    ).fetchone()
    return round(float(row[0]), 3) if row else 0.0


def _rounded(sizes: Mapping[str, float]) -> BatchSizes:
    whole = {phase: max(1, round(size)) for phase, size in sizes.items()}
    is_direct = sizes["assigned_at_once"] > 0.5
    return BatchSizes(
        insert=whole["insert"],
        assign=None if is_direct else whole["assign"],
        start=whole["start"],
        complete=whole["complete"],
    )


def _wait_for_worker(database: psycopg.Connection, action: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    query = """SELECT 1 FROM engine_worker
                WHERE %s = ANY(actions) AND is_active AND last_heartbeat_at IS NOT NULL"""
    while database.execute(query, [action]).fetchone() is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"no worker registered {action}")
        time.sleep(0.2)


def _wait_for_runs(database: psycopg.Connection, since: UUID, count: int) -> tuple[int, float]:
    """Wait until so many runs since then are completed; return how many and when the last one was."""
    deadline = time.monotonic() + WAIT_SECONDS
    query = """SELECT count(*), extract(epoch FROM max(finished_at))::float8
                 FROM engine_run WHERE id >= %s AND status = 2"""
    while True:
        row = database.execute(query, [since]).fetchone()
        done, last = row or (0, 0.0)
        if done >= count or time.monotonic() > deadline:
            return done, last or 0.0
        time.sleep(0.25)
