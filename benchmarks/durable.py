"""Durable tasks that wait: what they cost, and how soon they go on."""

from __future__ import annotations

from typing import Any

from benchmarks.figures import summary
from benchmarks.idle import watch
from benchmarks.installation import Installation
from benchmarks.processes import agents, memory_bytes

SLOTS = 500
WOKEN = 1000
RATE = 100
WAIT_SECONDS = 300.0


def measure_durable(installed: Installation, sleeping: int, seconds: float) -> dict[str, Any]:
    """Let `sleeping` tasks sleep, wake a thousand by one event, and one by one at an even pace."""
    return {
        "asleep": _measure_asleep(installed, sleeping, seconds),
        "woken": _measure_woken(installed, evicts=False),
        "restored": _measure_woken(installed, evicts=True),
        "resume_ms": _measure_resuming(installed, int(RATE * seconds)),
    }


def _measure_asleep(installed: Installation, count: int, seconds: float) -> dict[str, Any]:
    """All of them give their slots back: far fewer slots than tasks are enough."""
    with agents(*[installed.target] * 2) as (client, worker):
        client.ask("put_workflow", workflow="bench-asleep", shape="durable")
        worker.ask("work_durably", workflow="bench-asleep", slots=SLOTS, evicts=True, sleep="24h")
        memory = memory_bytes(installed.engine_pid)
        _enqueue(client, "bench-asleep", count)
        parked = worker.ask("wait_parked", count=count, seconds=WAIT_SECONDS)["parked"]
        figures = watch(installed, {"engine": installed.engine_pid}, seconds)
        grown = memory_bytes(installed.engine_pid) - memory
    return {"count": parked, "memory_growth_mb": round(grown / 1e6, 1), **figures}


def _measure_woken(installed: Installation, *, evicts: bool) -> dict[str, Any]:
    """One event for a thousand tasks, on their worker or evicted."""
    workflow = f"bench-woken-{'evicted' if evicts else 'live'}"
    with agents(*[installed.target] * 2) as (client, worker):
        client.ask("put_workflow", workflow=workflow, shape="durable")
        worker.ask("work_durably", workflow=workflow, slots=WOKEN, evicts=evicts)
        _enqueue(client, workflow, WOKEN)
        worker.ask("wait_parked", count=WOKEN, seconds=WAIT_SECONDS)
        client.ask("push", keys=1, per_second=1)
        delays = worker.ask("wait_resumed", count=WOKEN, seconds=WAIT_SECONDS)["delays_ms"]
    return {"count": len(delays), "seconds": round(max(delays) / 1000, 3), **summary(delays)}


def _measure_resuming(installed: Installation, count: int) -> dict[str, Any]:
    """An event a task, at an even pace: from the push to the line after the wait."""
    with agents(*[installed.target] * 2) as (client, worker):
        client.ask("put_workflow", workflow="bench-resume", shape="durable")
        worker.ask("work_durably", workflow="bench-resume", slots=count, evicts=False)
        _enqueue(client, "bench-resume", count, keys=count)
        worker.ask("wait_parked", count=count, seconds=WAIT_SECONDS)
        client.ask("push", keys=count, per_second=RATE)
        delays = worker.ask("wait_resumed", count=count, seconds=WAIT_SECONDS)["delays_ms"]
    return {"count": len(delays), **summary(delays)}


def _enqueue(client: Any, workflow: str, count: int, keys: int = 1) -> None:
    client.ask("enqueue", workflow=workflow, count=count, size=100, concurrency=2, keys=keys)
