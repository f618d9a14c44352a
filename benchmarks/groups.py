"""What long queues behind concurrency keys cost the scheduler, without database or wire: JSON on stdout.

python -m benchmarks.groups [--tasks 100000]

Each shape is measured at half the size too: what grows linearly costs the same for each task.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from time import process_time
from uuid import UUID

import orjson

from benchmarks.processes import memory_bytes
from engine.domain.assignment import ReadyTask
from engine.domain.concurrency import claims_of
from engine.domain.definition import (
    Concurrency,
    RegisteredStep,
    RegisteredVersion,
    StepDefinition,
    WorkflowDefinition,
)
from engine.domain.scheduler.machine import TenantScheduler
from engine.ids import new_id
from engine.states import ConcurrencyStrategy

BATCH = 100
SLOTS = {"default": 1}
WORKER = UUID(int=1)


def _version(max_runs: int) -> RegisteredVersion:
    chain = (Concurrency("input.key", max_runs, ConcurrencyStrategy.GROUP_ROUND_ROBIN),)
    step = StepDefinition("run", "work:run", concurrency=chain)
    steps = (RegisteredStep(new_id(), 0, step),)
    definition = WorkflowDefinition("work", (step,))
    return RegisteredVersion(new_id(), new_id(), new_id(), definition, steps)


def _arrivals(version: RegisteredVersion, count: int, keys: int) -> list[Callable[[], ReadyTask]]:
    """Make tasks when they are asked for, as rows are read: no other list keeps them alive."""

    def make(number: int) -> ReadyTask:
        task_id = new_id()
        form = {"keys": [f"key-{number % keys}"], "priority": 1, "arrival": str(task_id)}
        claims = claims_of(version, version.steps[0], orjson.dumps(form).decode())
        return ReadyTask(
            task_id, 0, "work:run", 1, SLOTS, version.id, version.steps[0].id, claims=claims
        )

    return [lambda number=number: make(number) for number in range(count)]  # type: ignore[misc]  # bound now


def _measure(count: int, keys: int, max_runs: int) -> dict[str, float]:
    scheduler = TenantScheduler()
    scheduler.workers.upsert(
        WORKER,
        actions=frozenset(["work:run"]),
        slots={"default": 100},
        is_active=True,
        is_paused=False,
        last_heartbeat=0.0,
    )
    arrivals = _arrivals(_version(max_runs), count, keys)
    gc.collect()
    before, started = memory_bytes(os.getpid()), process_time()
    running: deque[UUID] = deque()
    for start in range(0, count, BATCH):
        scheduler.enqueue([make() for make in arrivals[start : start + BATCH]])
        running += [assignment.task.id for assignment in scheduler.drain(1.0)]
    queued = process_time()
    gc.collect()
    grown = memory_bytes(os.getpid()) - before
    done, drain_started = 0, process_time()
    while running:
        scheduler.withdraw(running.popleft(), 0)
        running += [assignment.task.id for assignment in scheduler.drain(1.0)]
        done += 1
    drained = process_time() - drain_started
    assert done == count, done
    return {
        "memory_mb": round(grown / 1e6, 1),
        "enqueue_us_per_task": round((queued - started) / count * 1e6, 1),
        "drain_us_per_task": round(drained / count * 1e6, 1),
    }


def measure(task_count: int) -> dict[str, dict[str, float]]:
    """Return memory and microseconds of CPU per task for several shapes of queues."""
    shapes: Sequence[tuple[str, int, int]] = (
        ("10000_keys", 10_000, 1),
        ("one_key", 1, 1),
        ("10000_keys_with_room", 10_000, 10),
    )
    return {
        f"{name}_{count}": _measure(count, keys, max_runs)
        for name, keys, max_runs in shapes
        for count in (task_count // 2, task_count)
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100_000)
    report = measure(parser.parse_args().tasks)
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
