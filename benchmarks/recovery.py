"""`kill -9` of an engine at work: how long until the next task starts, and what the time went into.

An installation of its own, supervised as `manage.py up` and `runengine --processes` do it; a worker with the
official SDK works off a queue that is long enough to have work at every moment.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.installation import Installation
from benchmarks.processes import ROOT, agents, end

WORKFLOW = "bench-recovery"
QUEUED = 1_000
LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 120.0

Moments = dict[str, float]


def measure_recovery(installed: Installation, kills: int) -> dict[str, Any]:
    """Kill the engine `kills` times, then one of two; return the parts of each, in seconds, and the losses."""
    figures: dict[str, Any] = {}
    installed.stop_engine()
    for name, count in (("one", 1), ("two", 2)):
        with _engines(installed, count) as supervisor, _worker(installed):
            outages = [
                _kill_one(installed, supervisor, turn % count) for turn in range(kills * count)
            ]
        firsts = sorted(outage["first_start"] for outage in outages)
        figures[name] = {
            "first_start_seconds": firsts[len(firsts) // 2],
            "worst_seconds": firsts[-1],
            "outages": outages,
            "failed": _failed(installed.database),
        }
    installed.start_engine()
    return figures


@contextmanager
def _engines(installed: Installation, count: int) -> Iterator[int]:
    command = [sys.executable, "manage.py", "runengine", "--processes", str(count)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=installed.log, stderr=installed.log)
    try:
        installed.wait_for_port(installed.grpc_port)
        _wait(lambda: len(_engine_pids(process.pid)) == count)
        yield process.pid
    finally:
        end(process)


@contextmanager
def _worker(installed: Installation) -> Iterator[None]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HATCHET_CLIENT_TOKEN": installed.target.token,
        "HATCHET_CLIENT_HOST_PORT": installed.target.address,
        "HATCHET_CLIENT_SERVER_URL": f"http://127.0.0.1:{installed.http_port}",
        "HATCHET_CLIENT_TLS_STRATEGY": "none",
    }
    process = subprocess.Popen(
        [sys.executable, str(Path("benchmarks", "recovery_worker.py"))],
        cwd=ROOT,
        env=environment,
        stdout=installed.log,
        stderr=installed.log,
    )
    try:
        _wait(
            lambda: _one(installed.database, "SELECT count(*) FROM engine_worker WHERE is_active")
        )
        yield
    finally:
        process.kill()
        process.wait()


def _kill_one(installed: Installation, supervisor: int, turn: int) -> Moments:
    """Kill an engine while there is work; return what was so how long after that.

    Of two engines one schedules, so both have their turn; the lease moves at one of them only.
    """
    database = installed.database
    with agents(installed.target) as (client,):
        client.ask("enqueue", workflow=WORKFLOW, count=QUEUED, size=QUEUED, concurrency=1)
    _wait(lambda: _one(database, _STARTED, 0) and len(_engine_pids(supervisor)))
    time.sleep(1)
    before = _engine_pids(supervisor)
    victim = sorted(before)[turn]
    epoch = _one(database, "SELECT max(epoch) FROM engine_lease")
    killed_at = time.time()
    os.kill(victim, signal.SIGKILL)
    looks: dict[str, Callable[[], object]] = {
        "process": lambda: set(_engine_pids(supervisor)) - set(before),
        "port": lambda: _answers(installed.grpc_port),
        "lease": lambda: _one(database, "SELECT max(epoch) FROM engine_lease") > epoch,
        "stream": lambda: _one(database, _LISTENS, killed_at),
        "assigned": lambda: _one(database, _ASSIGNED, killed_at),
        "first_start": lambda: _one(database, _STARTED, killed_at),
    }
    moments: Moments = {}
    while "first_start" not in moments or "process" not in moments:
        for name, look in looks.items():
            if name not in moments and look():
                moments[name] = round(time.time() - killed_at, 2)
        if time.time() - killed_at > PATIENCE_SECONDS:
            raise RuntimeError(f"no recovery; so far {moments}")
        time.sleep(LOOK_SECONDS)
    _wait(lambda: _one(database, _UNFINISHED) == 0)
    return moments


_STARTED = "SELECT count(*) FROM engine_taskevent WHERE kind = 4 AND at > to_timestamp(%s)"
_ASSIGNED = "SELECT count(*) FROM engine_taskevent WHERE kind = 2 AND at > to_timestamp(%s)"
_LISTENS = "SELECT count(*) FROM engine_worker WHERE last_listener_at > to_timestamp(%s)"
_UNFINISHED = "SELECT count(*) FROM engine_run WHERE status IN (0, 1)"


def _failed(database: psycopg.Connection[Any]) -> int:
    return int(_one(database, "SELECT count(*) FROM engine_run WHERE status NOT IN (0, 1, 2)"))


def _one(database: psycopg.Connection[Any], sql: str, *parameters: object) -> Any:
    row = database.execute(sql, parameters).fetchone()
    return row[0] if row else None


def _engine_pids(supervisor: int) -> list[int]:
    return [child.pid for child in psutil.Process(supervisor).children()]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _wait(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise RuntimeError("waited too long")
        time.sleep(LOOK_SECONDS)
