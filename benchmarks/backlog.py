"""A long queue behind a busy worker: what it costs in memory, and whether others notice."""

from __future__ import annotations

from typing import Any

from benchmarks.figures import percentile, ratio, summary
from benchmarks.installation import Installation
from benchmarks.latency import pace
from benchmarks.processes import agents, memory_bytes

RATE = 50


def measure_backlog(installed: Installation, count: int, seconds: float) -> dict[str, Any]:
    """Queue `count` runs behind a worker with one slot that never finishes."""
    with agents(*[installed.target] * 3) as (client, busy, free):
        for workflow in ("bench-busy", "bench-free"):
            client.ask("put_workflow", workflow=workflow)
        busy.ask("work", workflows=["bench-busy"], slots=1, holds=True)
        free.ask("work", workflows=["bench-free"], slots=100)
        pace(client, busy, "bench-busy", 1, 1.0)
        pace(client, free, "bench-free", RATE, 1.0)
        before = pace(client, free, "bench-free", RATE, seconds)
        memory = memory_bytes(installed.engine_pid)
        sent = client.ask("enqueue", workflow="bench-busy", count=count, size=1000, concurrency=2)
        after = pace(client, free, "bench-free", RATE, seconds)
        grown = memory_bytes(installed.engine_pid) - memory
    return {
        "queued": sent["count"],
        "enqueued_per_second": round(sent["count"] / sent["seconds"], 1),
        "memory_growth_mb": round(grown / 1e6, 1),
        "before_ms": summary(before),
        "after_ms": summary(after),
        "p50_to_before": ratio(percentile(after, 50), percentile(before, 50)),
    }
