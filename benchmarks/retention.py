"""What retention leaves of the tables' size, and what others notice of it: JSON on stdout.

python -m benchmarks.retention [--runs 200000] [--seconds 24]

Runs of 14 days are written, of which a week is kept. Size: after the days were dropped, beside that of the kept
week before the older one was written. Load: the same runs are carried out while rows are removed one by one,
because each old day holds a live run, and while retention rests, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from typing import Any

import orjson
import psycopg

from benchmarks import report
from benchmarks.figures import ratio
from benchmarks.installation import Installation, installation
from benchmarks.old_days import OldDays, day_before
from benchmarks.processes import ROOT, agents
from benchmarks.throughput import Turns, connect

DAYS, KEPT_DAYS = 14, 7
TURNS = 8
WORKFLOW = "bench-retention"
_CLEAR = ("-m", "benchmarks.retention", "--clear")


def measure_retention(installed: Installation, runs: int, seconds: float) -> dict[str, Any]:
    with agents(installed.target, installed.target) as pair:
        connect(pair, WORKFLOW)
        old = OldDays(installed.database, WORKFLOW)
        a_day = runs // DAYS
        for days in range(1, KEPT_DAYS + 1):
            old.write(day_before(days), a_day)
        steady = _size(installed.database)
        for days in range(KEPT_DAYS + 1, DAYS + 1):
            old.write(day_before(days), a_day)
        full = _size(installed.database)
        dropped = _clear_all()
        after = _size(installed.database)
        for days in range(KEPT_DAYS + 1, DAYS + 1):
            old.write(day_before(days), a_day, live=1)
        _size(installed.database)
        pids = {"engine": installed.engine_pid, "postgres": installed.postgres_pid}
        load = _measure_load(Turns(pair, pids, WORKFLOW), Turns(pair, pids, WORKFLOW), seconds)
    return {
        "runs": a_day * DAYS,
        "bytes": {"steady": steady, "with_old_days": full, "after": after},
        "after_to_steady": ratio(after, steady),
        "dropped": dropped,
        "load": load,
    }


def _measure_load(working: Turns, resting: Turns, seconds: float) -> dict[str, Any]:
    """Let retention go on for every other turn."""
    clearing = subprocess.Popen([sys.executable, *_CLEAR], cwd=ROOT, stdout=subprocess.PIPE)
    was_working = 0
    try:
        for number in range(TURNS):
            is_working = number % 2 == 0
            clearing.send_signal(signal.SIGCONT if is_working else signal.SIGSTOP)
            (working if is_working else resting).take("singly", seconds / TURNS)
            was_working += is_working and clearing.poll() is None
    finally:
        clearing.send_signal(signal.SIGCONT)
        clearing.terminate()
        clearing.wait()
    figures = {"while_it_works": working.figures(), "while_it_rests": resting.figures()}
    rates = [side["runs_per_second"] for side in figures.values()]
    return {**figures, "rate_to_rest": ratio(*rates), "turns_it_worked_through": was_working}


def _clear_all() -> dict[str, Any]:
    done = subprocess.run([sys.executable, *_CLEAR], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = orjson.loads(done.stdout)
    return told


def _size(database: psycopg.Connection) -> int:
    """Return the bytes of the engine's tables with their indexes, once they are vacuumed."""
    database.execute("VACUUM ANALYZE")
    row = database.execute(
        r"""SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
             WHERE relkind = 'r' AND relname LIKE 'engine\_%'"""
    ).fetchone()
    assert row is not None
    return int(row[0])


async def _clear() -> dict[str, Any]:
    """Do one round of retention, as an engine does."""
    import django

    django.setup()
    from django.conf import settings

    from engine import telemetry
    from engine.retention_config import RetentionConfig
    from engine.runtime.controllers.retention import Retention
    from engine.store.async_db import AsyncDatabase

    did: Counter[str] = Counter()

    def count(name: str, measured: Any, metadata: Any) -> None:
        did[f"{name} {metadata['kind']}"] += measured.get("rows", 1)

    telemetry.attach(count, "retention.dropped", "retention.removed")
    database = AsyncDatabase(settings.HATCHET.database_url)
    await database.open()
    controller = Retention(database, RetentionConfig(period=timedelta(days=KEPT_DAYS)))
    started = time.monotonic()
    await controller.tick()
    while await controller.tick():
        pass
    seconds = time.monotonic() - started
    await database.close()
    return {"seconds": round(seconds, 2), **did}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--clear", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.clear:
        sys.stdout.write(orjson.dumps(asyncio.run(_clear())).decode())
        return
    os.environ["SERVER_ENABLE_DATA_RETENTION"] = "false"  # what is measured does it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with installation() as installed:
        figures = {
            "machine": report.machine(),
            "retention": measure_retention(installed, chosen.runs, chosen.seconds),
        }
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main()
