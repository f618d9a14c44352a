"""What a decision of the pure scheduler costs, without database or wire: JSON on stdout.

python -m benchmarks.scheduler [--tasks 100000]
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from uuid import UUID

import orjson

from engine.domain.scheduler.machine import ReadyTask, TenantScheduler
from engine.ids import new_id

SLOTS = {"default": 1}
BATCH = 100
STEP = UUID(int=1)


def _scene(*, workers: int, slots: int, actions: int) -> tuple[TenantScheduler, list[str]]:
    names = [f"workflow:step-{number}" for number in range(actions)]
    scheduler = TenantScheduler()
    for _ in range(workers):
        scheduler.workers.upsert(
            new_id(),
            actions=frozenset(names),
            slots={"default": slots},
            is_active=True,
            is_paused=False,
            last_heartbeat=0.0,
        )
    return scheduler, names


def _tasks(count: int, names: list[str]) -> list[ReadyTask]:
    return [
        ReadyTask(new_id(), 0, names[number % len(names)], 1, SLOTS, STEP, STEP)
        for number in range(count)
    ]


def _measure(work: Callable[[], int]) -> dict[str, float]:
    gc.collect()
    started = perf_counter()
    decisions = work()
    elapsed = perf_counter() - started
    return {
        "decisions": decisions,
        "us_per_decision": round(elapsed / decisions * 1e6, 2),
    }


def _run_offers(scheduler: TenantScheduler, tasks: list[ReadyTask]) -> int:
    """Offer tasks in batches to free workers; each batch ends before the next comes."""
    decided = 0
    for start in range(0, len(tasks), BATCH):
        for assignment in scheduler.offer(tasks[start : start + BATCH], 1.0):
            scheduler.workers.release(assignment.task.id)
            decided += 1
    return decided


def _run_backlog(scheduler: TenantScheduler, tasks: list[ReadyTask], batch: int) -> int:
    """Keep every worker full: enqueue as a refill would, end `batch` tasks, drain."""
    waiting, running = deque(tasks), deque[UUID]()
    decided = 0
    while waiting or running:
        while waiting and scheduler.waiting_count() < BATCH * 5:
            scheduler.enqueue([waiting.popleft() for _ in range(min(BATCH, len(waiting)))])
        for assignment in scheduler.drain(1.0):
            running.append(assignment.task.id)
            decided += 1
        for _ in range(min(batch, len(running))):
            scheduler.workers.release(running.popleft())
    return decided


def _run_idle_drains(scheduler: TenantScheduler, tasks: list[ReadyTask]) -> int:
    """Drain again and again while everything is full and much waits."""
    scheduler.enqueue(tasks)
    scheduler.drain(1.0)
    for _ in range(100_000):
        scheduler.drain(1.0)
    return 100_000


def measure(task_count: int) -> dict[str, dict[str, float]]:
    """Return microseconds per decided task for several shapes of load."""
    scenes = {
        "10_workers": {"workers": 10, "slots": 100, "actions": 1},
        "1000_workers": {"workers": 1000, "slots": 10, "actions": 1},
        "1000_actions": {"workers": 10, "slots": 100, "actions": 1000},
    }
    results = {}
    for name, scene in scenes.items():
        scheduler, names = _scene(**scene)
        tasks = _tasks(task_count, names)
        results[f"{name}_offer"] = _measure(partial(_run_offers, scheduler, tasks))
        results[f"{name}_backlog_batches"] = _measure(
            partial(_run_backlog, scheduler, tasks, BATCH)
        )
        results[f"{name}_backlog_singly"] = _measure(partial(_run_backlog, scheduler, tasks, 1))
    scheduler, names = _scene(**scenes["1000_actions"])
    tasks = _tasks(10_000, names)
    results["idle_drain"] = _measure(partial(_run_idle_drains, scheduler, tasks))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    report = measure(parser.parse_args().tasks)
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
