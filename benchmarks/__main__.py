"""Measure an installation of its own: `python -m benchmarks [--only PART ...] [--quick]`."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import report
from benchmarks.backlog import measure_backlog
from benchmarks.durable import measure_durable
from benchmarks.fronts import measure_fronts
from benchmarks.idle import measure_idle
from benchmarks.installation import Installation, installation
from benchmarks.latency import measure_latency
from benchmarks.metrics import measure_metrics
from benchmarks.orchestration import measure_flows, measure_keys, measure_limits
from benchmarks.processes import Neighbours
from benchmarks.recovery import measure_recovery
from benchmarks.rest import measure_rest
from benchmarks.sealing import measure_sealing
from benchmarks.sql_contract import measure_sql
from benchmarks.throughput import measure_enqueue, measure_lean, measure_sdk
from benchmarks.traces import measure_traces
from benchmarks.webhooks import measure_webhooks

Part = Callable[[Installation, float], dict[str, Any]]

PARTS: dict[str, Part] = {
    "idle": lambda installed, scale: measure_idle(installed, 15 * scale),
    "latency": lambda installed, scale: measure_latency(installed, 8 * scale),
    "lean": lambda installed, scale: measure_lean(installed, 8 * scale),
    "fronts": lambda installed, scale: measure_fronts(installed, 15 * scale),
    "sealing": lambda installed, scale: measure_sealing(installed, 15 * scale),
    "metrics": lambda installed, scale: measure_metrics(installed, 24 * scale),
    "limits": lambda installed, scale: measure_limits(installed, 8 * scale),
    "flows": lambda installed, _scale: measure_flows(installed),
    "durable": lambda installed, scale: measure_durable(
        installed, int(100 * scale) * 100, 8 * scale
    ),
    "sdk": lambda installed, scale: measure_sdk(installed, 6 * scale),
    "rest": lambda installed, scale: measure_rest(installed, 6 * scale),
    "sql": lambda installed, scale: measure_sql(installed, 8 * scale),
    "webhooks": lambda installed, scale: measure_webhooks(installed, 6 * scale),
    "traces": lambda installed, scale: measure_traces(installed, int(100 * scale)),
    "enqueue": lambda installed, scale: measure_enqueue(installed, int(40 * scale) * 1000),
    "backlog": lambda installed, scale: measure_backlog(
        installed, int(200 * scale) * 1000, 5 * scale
    ),
    "recovery": lambda installed, scale: measure_recovery(installed, math.ceil(5 * scale)),
    "keys": lambda installed, scale: measure_keys(installed, int(100 * scale) * 1000, 5 * scale),
}
"""In the order they run: an idle installation first, the long queues last."""

QUICK = 0.25


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="a quarter of the time, less exact")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> None:
    chosen = _arguments(words)
    # A plain SIGTERM would end Python and leave Postgres running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results: dict[str, Any] = {"machine": report.machine()}
    with installation() as installed:
        results["machine"]["postgres"] = installed.database.info.server_version
        for name, part in PARTS.items():
            if name in chosen.only:
                sys.stderr.write(f"measuring {name}\n")
                neighbours = Neighbours()
                figures = part(installed, QUICK if chosen.quick else 1.0)
                results[name] = {**figures, "others_cpu_percent": neighbours.percent()}
    path = report.write(results)
    sys.stdout.write(f"{report.table(results)}\n\nWritten to {path}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
