"""What limits, long queues behind keys, DAGs and children cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.figures import percentile, ratio, summary
from benchmarks.installation import Installation
from benchmarks.latency import pace
from benchmarks.processes import AgentProcess, agents, memory_bytes
from benchmarks.shapes import CHAIN_LENGTH
from benchmarks.throughput import TURNS, Turns

Figures = dict[str, Any]

RATE = 100
SLOTS = 500
RUNS_OF_A_KEY = 10
LIGHT_TASKS, LIGHT_WORKERS = 400, 10
CHILDREN = 1000
REPEATS = 3
WAIT_SECONDS = 300.0


def measure_limits(installed: Installation, seconds: float) -> Figures:
    """Compare a task behind two concurrency limits and a rate limit with one behind none."""
    pids = {"engine": installed.engine_pid, "postgres": installed.postgres_pid}
    with agents(*[installed.target] * 4) as (client, worker, limited_client, limited_worker):
        limited_client.ask("put_limit")
        sides = {
            "plain": _side(client, worker, "plain", pids),
            "stacked": _side(limited_client, limited_worker, "stacked", pids),
        }
        for turns in sides.values():
            turns.take("bulk", 1.0)
            turns.forget()
        for _ in range(TURNS):
            for turns in sides.values():
                turns.take("bulk", seconds / TURNS)
        figures: Figures = {name: turns.figures() for name, turns in sides.items()}
        for name, pair in (
            ("plain", (client, worker)),
            ("stacked", (limited_client, limited_worker)),
        ):
            figures[name]["delays_ms"] = summary(pace(*pair, f"bench-{name}", RATE, seconds))
    costs = {name: side["engine_us"] + side["postgres_us"] for name, side in figures.items()}
    p95 = {name: side["delays_ms"]["p95"] for name, side in figures.items()}
    return {
        **figures,
        "cost_to_plain": ratio(costs["stacked"], costs["plain"]),
        "p95_added_ms": round(p95["stacked"] - p95["plain"], 2),
    }


def _side(client: AgentProcess, worker: AgentProcess, shape: str, pids: dict[str, int]) -> Turns:
    workflow = f"bench-{shape}"
    client.ask("put_workflow", workflow=workflow, shape=shape)
    worker.ask("work", workflows=[workflow], slots=SLOTS)
    return Turns([client, worker], pids, workflow)


def measure_keys(installed: Installation, count: int, seconds: float) -> Figures:
    """Queue `count` tasks behind a tenth as many keys, and a quarter of that before, for comparison."""
    with agents(*[installed.target] * 3) as (client, free, worker):
        client.ask("put_workflow", workflow="bench-beside")
        free.ask("work", workflows=["bench-beside"], slots=100)
        pace(client, free, "bench-beside", RATE, 1.0)
        before = pace(client, free, "bench-beside", RATE, seconds)
        few = _queue_and_drain(installed, (client, worker, free), count // 4, seconds)
        many = _queue_and_drain(installed, (client, worker, free), count, seconds)
    p95 = percentile(many.pop("delays"), 95)
    few.pop("delays")
    return {
        "few": few,
        "many": many,
        "queued": count,
        "p95_beside_to_before": ratio(p95, percentile(before, 95)),
        "enqueue_rate_to_few": ratio(many["enqueued_per_second"], few["enqueued_per_second"]),
        "drain_rate_to_few": ratio(many["drained_per_second"], few["drained_per_second"]),
    }


def _queue_and_drain(
    installed: Installation,
    processes: tuple[AgentProcess, AgentProcess, AgentProcess],
    count: int,
    seconds: float,
) -> Figures:
    client, worker, free = processes
    workflow = f"bench-keyed-{count}"
    client.ask("put_workflow", workflow=workflow, shape="keyed")
    memory = memory_bytes(installed.engine_pid)
    sent = client.ask(
        "enqueue",
        workflow=workflow,
        count=count,
        size=1000,
        concurrency=2,
        keys=count // RUNS_OF_A_KEY,
    )
    delays = pace(client, free, "bench-beside", RATE, seconds)
    grown = memory_bytes(installed.engine_pid) - memory
    started = time.monotonic()
    worker.ask("work", workflows=[workflow], slots=SLOTS)
    done = worker.ask("wait_completed", count=sent["count"], seconds=WAIT_SECONDS)
    return {
        "completed": done["completed"],
        "enqueued_per_second": round(sent["count"] / sent["seconds"], 1),
        "drained_per_second": round(done["completed"] / (done["last_completed"] - started), 1),
        "memory_growth_mb": round(grown / 1e6, 1),
        "delays": delays,
    }


def measure_flows(installed: Installation) -> Figures:
    """Time one DAG, many light tasks on many workers, and one parent of many children."""
    return {
        "chain_seconds": _median(_time_chain, installed),
        "light_tasks_seconds": _median(_time_light_tasks, installed),
        "fan_out_seconds": _median(_time_fan_out, installed),
    }


def _median(measure: Callable[[Installation, int], float], installed: Installation) -> float:
    return round(median(measure(installed, turn) for turn in range(REPEATS)), 3)


def _time_chain(installed: Installation, turn: int) -> float:
    workflow = f"bench-chain-{turn}"
    with agents(*[installed.target] * 2) as (client, worker):
        client.ask("put_workflow", workflow=workflow, shape="chain")
        worker.ask("work", workflows=[workflow], slots=10, shape="chain")
        return _time(client, worker, workflow, 1, CHAIN_LENGTH)


def _time_light_tasks(installed: Installation, turn: int) -> float:
    workflow = f"bench-light-{turn}"
    with agents(*[installed.target] * 2) as (client, worker):
        client.ask("put_workflow", workflow=workflow)
        worker.ask("work", workflows=[workflow], slots=10, workers=LIGHT_WORKERS)
        return _time(client, worker, workflow, LIGHT_TASKS, LIGHT_TASKS)


def _time_fan_out(installed: Installation, turn: int) -> float:
    parent, child = f"bench-parent-{turn}", f"bench-child-{turn}"
    with agents(*[installed.target] * 3) as (client, worker, child_worker):
        for workflow in (parent, child):
            client.ask("put_workflow", workflow=workflow)
        child_worker.ask("work", workflows=[child], slots=SLOTS)
        worker.ask("work_as_parent", workflow=parent, child=child, count=CHILDREN)
        return _time(client, worker, parent, 1, 1)


def _time(
    client: AgentProcess, worker: AgentProcess, workflow: str, runs: int, tasks: int
) -> float:
    sent = client.ask("enqueue", workflow=workflow, count=runs, size=runs, concurrency=1)
    done = worker.ask("wait_completed", count=tasks, seconds=WAIT_SECONDS)
    if done["completed"] != tasks:
        raise RuntimeError(f"{workflow}: {done['completed']} of {tasks} tasks were completed")
    seconds: float = done["last_completed"] - sent["started"]
    return seconds
