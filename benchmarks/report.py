"""Results as a table for people and a file for programs."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from operator import ge, le
from pathlib import Path
from typing import Any

import orjson
import psutil

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: where it is in the results and the bound it is held against, if any."""

    title: str
    path: str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None


LINES: Sequence[Line] = (
    Line("Runs/s, triggered one by one", "lean.engine.singly.runs_per_second", at_least=600),
    Line("Runs/s, triggered in bulk", "lean.engine.bulk.runs_per_second", at_least=900),
    Line("Runs/s, official SDK worker", "sdk.runs_per_second"),
    Line("Spans/s that one core takes", "traces.per_second_of_one_core", at_least=2_000),
    Line("Engine CPU a span", "traces.engine_us", "us"),
    Line("Postgres CPU a span", "traces.postgres_us", "us"),
    Line("Enqueues/s, calls of 1,000", "enqueue.runs_per_second", at_least=10_000),
    Line(
        "Engine CPU to empty server, one by one",
        "lean.ratios.singly.engine_cpu_to_empty_server",
        "x",
        at_most=2,
    ),
    Line(
        "Engine CPU to empty server, bulk",
        "lean.ratios.bulk.engine_cpu_to_empty_server",
        "x",
        at_most=2,
    ),
    Line(
        "Postgres CPU to raw, one by one",
        "lean.ratios.singly.postgres_cpu_to_raw",
        "x",
        at_most=3,
    ),
    Line("Postgres CPU to raw, bulk", "lean.ratios.bulk.postgres_cpu_to_raw", "x", at_most=3),
    Line("Engine CPU a run, one by one", "lean.engine.singly.engine_us", "us"),
    Line("Engine CPU a run, bulk", "lean.engine.bulk.engine_us", "us"),
    Line("Postgres CPU a run, one by one", "lean.engine.singly.postgres_us", "us"),
    Line("Postgres CPU a run, bulk", "lean.engine.bulk.postgres_us", "us"),
    Line(
        "Native front to grpcio, one by one",
        "fronts.native_to_grpcio.singly.runs_per_second",
        "x",
        at_least=1.6,
    ),
    Line(
        "Native front to grpcio, bulk",
        "fronts.native_to_grpcio.bulk.runs_per_second",
        "x",
        at_least=1.4,
    ),
    Line("  engine CPU a run, one by one", "fronts.native_to_grpcio.singly.engine_us", "x"),
    Line("  engine CPU a run, bulk", "fronts.native_to_grpcio.bulk.engine_us", "x"),
    Line("Encrypted to plain, one by one", "sealing.on_to_off.singly.runs_per_second", "x"),
    Line("Encrypted to plain, bulk", "sealing.on_to_off.bulk.runs_per_second", "x"),
    Line("  engine CPU a run, one by one", "sealing.on_to_off.singly.engine_us", "x"),
    Line("  engine CPU a run, bulk", "sealing.on_to_off.bulk.engine_us", "x"),
    Line(
        "Metrics on to off: engine CPU a run, one by one",
        "metrics.on_to_off.singly.engine_us",
        "x",
        at_most=1.03,
    ),
    Line("  in bulk", "metrics.on_to_off.bulk.engine_us", "x", at_most=1.03),
    Line("Counting a run afterwards, Postgres CPU", "metrics.counting.postgres_us", "us"),
    Line("Start latency floor (RPC + commit)", "latency.floor_ms", "ms"),
    Line("Start latency p50 at 10/s", "latency.rates.10.p50", "ms"),
    Line("Start latency p50 at 100/s", "latency.rates.100.p50", "ms"),
    Line("  to the floor", "latency.rates.100.p50_to_floor", "x", at_most=6),
    Line("Start latency p99 at 100/s", "latency.rates.100.p99", "ms", at_most=40),
    Line("Start latency p50 at 500/s", "latency.rates.500.p50", "ms"),
    Line("Start latency p99 at 500/s", "latency.rates.500.p99", "ms"),
    Line("Start by an event with a filter, p50 at 100/s", "latency.event.by_event_ms.p50", "ms"),
    Line("  to a trigger call", "latency.event.p50_to_call", "x", at_most=1.3),
    Line("Idle queries/s", "idle.queries_per_second", at_most=2),
    Line("Idle CPU, engine", "idle.cpu_percent.engine", "%", at_most=2),
    Line("Idle CPU, web", "idle.cpu_percent.web", "%"),
    Line("Memory, engine", "idle.memory_mb.engine", "MB"),
    Line("Memory, web", "idle.memory_mb.web", "MB"),
    Line("Memory, engine and web", "idle.memory_mb.total", "MB", at_most=300),
    Line("Two concurrency limits, a rate limit: cost", "limits.cost_to_plain", "x", at_most=1.3),
    Line("  added to p95 at 100/s", "limits.p95_added_ms", "ms", at_most=10),
    Line("REST triggers/s, 16 connections", "rest.trigger.per_second", at_least=200),
    Line("  web CPU to an empty view", "rest.cpu_to_empty_view.trigger", "x"),
    Line("  p95 at 50/s", "rest.trigger_ms_at_50.p95", "ms", at_most=25),
    Line("Runs read a second over REST", "rest.run.per_second"),
    Line("  web CPU to an empty view", "rest.cpu_to_empty_view.run", "x"),
    Line("Statuses of runs a second", "rest.status.per_second"),
    Line("  web CPU to an empty view", "rest.cpu_to_empty_view.status", "x"),
    Line("Lists of 50 runs a second", "rest.list_of_50.per_second"),
    Line("  web CPU to an empty view", "rest.cpu_to_empty_view.list_of_50", "x"),
    Line("Enqueued in SQL, to a plain insert, p50", "sql.caller.p50_to_plain", "x", at_most=1.3),
    Line("  commit to start, p50 at 100/s", "sql.latency.in_sql_ms.p50", "ms"),
    Line("  to a trigger call", "sql.latency.p50_to_call", "x", at_most=2),
    Line("  taken/s of 10,000 at once", "sql.taking.rows_per_second"),
    Line("  to calls of 1,000", "sql.taking.rate_to_calls", "x", at_least=0.8),
    Line("Webhooks/s accepted", "webhooks.accepted.per_second"),
    Line("  to an empty view", "webhooks.rate_to_empty_view", "x", at_least=0.33),
    Line("Web CPU a webhook", "webhooks.accepted.web_cpu_us", "us"),
    Line("  an empty view", "webhooks.empty_view.web_cpu_us", "us"),
    Line("DAG of 40 steps in a row", "flows.chain_seconds", "s", at_most=1.2),
    Line("400 light tasks, 10 workers", "flows.light_tasks_seconds", "s", at_most=4),
    Line("1,000 children spawned and awaited", "flows.fan_out_seconds", "s", at_most=3),
    Line("Durable tasks asleep", "durable.asleep.count"),
    Line("  engine memory growth", "durable.asleep.memory_growth_mb", "MB", at_most=100),
    Line("  queries/s of the whole engine", "durable.asleep.queries_per_second"),
    Line("1,000 waiting woken by one event", "durable.woken.seconds", "s", at_most=2),
    Line("1,000 evicted restored by one event", "durable.restored.seconds", "s"),
    Line("Event to code that goes on, p95 at 100/s", "durable.resume_ms.p95", "ms", at_most=50),
    Line("kill -9 to next start", "recovery.one.first_start_seconds", "s", at_most=5),
    Line("  the worst", "recovery.one.worst_seconds", "s"),
    Line("  runs lost or failed", "recovery.one.failed", at_most=0),
    Line("kill -9 of one of two engines", "recovery.two.first_start_seconds", "s", at_most=5),
    Line("  the worst", "recovery.two.worst_seconds", "s"),
    Line("  runs lost or failed", "recovery.two.failed", at_most=0),
    Line("Backlog", "backlog.queued", "runs"),
    Line("Backlog, engine memory growth", "backlog.memory_growth_mb", "MB", at_most=100),
    Line("Backlog, another workflow's p50", "backlog.p50_to_before", "x", at_most=2),
    Line("Behind 1/10 as many keys", "keys.queued", "runs"),
    Line("  enqueued/s", "keys.many.enqueued_per_second"),
    Line("  to a quarter of it", "keys.enqueue_rate_to_few", "x"),
    Line("  drained/s", "keys.many.drained_per_second"),
    Line("  to a quarter of it", "keys.drain_rate_to_few", "x"),
    Line("  engine memory growth", "keys.many.memory_growth_mb", "MB"),
    Line("  another workflow's p95", "keys.p95_beside_to_before", "x", at_most=2),
)


def machine() -> dict[str, Any]:
    """Describe where the figures come from."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
        "load_before": [round(load, 2) for load in psutil.getloadavg()],
    }


def write(results: dict[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))
    return path


def table(results: dict[str, Any]) -> str:
    """Return one line for each figure that was measured."""
    rows = []
    for line in LINES:
        value = _find(results, line.path)
        if value is not None:
            rows.append(f"{line.title:<42}{value:>12,.2f} {line.unit:<5}{_judge(line, value)}")
    for name, part in results.items():
        if "others_cpu_percent" in part:
            title = f"Cores taken by others during {name}"
            rows.append(f"{title:<42}{part['others_cpu_percent']:>12,.2f} %")
    return "\n".join(rows)


def _find(results: dict[str, Any], path: str) -> float | None:
    value: Any = results
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return None if value is None else float(value)


def _judge(line: Line, value: float) -> str:
    for bound, holds, sign in ((line.at_least, ge, ">="), (line.at_most, le, "<=")):
        if bound is not None:
            return f"{'ok  ' if holds(value, bound) else 'MISS'}  {sign} {bound:,g}"
    return ""
