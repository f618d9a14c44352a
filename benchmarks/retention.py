"""What retention leaves of the tables' size: JSON on stdout.

python -m benchmarks.retention [--runs 200000]

Runs of 14 days are written, of which a week is kept: the size after the older days were dropped, beside that of
the kept week before they were written.
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

DAYS, KEPT_DAYS = 14, 7
WORKFLOW = "bench-retention"
_CLEAR = ("-m", "benchmarks.retention", "--clear")


def measure_retention(installed: Installation, runs: int) -> dict[str, Any]:
    with agents(installed.target) as (client,):
        client.ask("put_workflow", workflow=WORKFLOW)
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
    return {
        "runs": a_day * DAYS,
        "bytes": {"steady": steady, "with_old_days": full, "after": after},
        "after_to_steady": ratio(after, steady),
        "cleared": dropped,
    }


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
            "retention": measure_retention(installed, chosen.runs),
        }
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    main()
