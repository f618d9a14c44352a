"""Whatever happens, the tallies tell how many runs there are in each status."""

from __future__ import annotations

import random

import pytest

from engine.models import Task
from engine.states import Status
from engine.store import housekeeping, sync_db
from engine.store.query import fetch
from engine.types import TriggerRequest
from tests.operations.bench import Bench, on_failure, step


def act(bench: Bench, chance: random.Random) -> None:
    """Do one random thing to some random tasks."""
    ids = list(Task.objects.filter(tenant_id=bench.tenant_id).values_list("id", flat=True))
    some = chance.sample(ids, min(len(ids), 4))
    match chance.randrange(8):
        case 0:
            bench.trigger(*[TriggerRequest(chance.choice(["one", "dag"]))] * chance.randint(1, 3))
        case 1 | 2 if some:
            bench.assign(*some)
        case 3:
            bench.report(*[bench.completed(task_id) for task_id in some])
        case 4:
            bench.report(*[bench.failed(task_id) for task_id in some])
        case 5:
            bench.cancel(*some)
        case 6:
            bench.replay(*some)
        case _:
            bench.expire(after_seconds=chance.choice([1, 30, 61, 301]))


@pytest.mark.parametrize("seed", range(8))
def test_tallies_equal_counts_after_random_work(bench: Bench, seed: int) -> None:
    bench.put(step("work", retries=1), name="one")
    bench.put(step("a"), step("b", "a", backoff_factor=2.0, retries=1), on_failure(), name="dag")
    chance = random.Random(seed)
    for _ in range(60):
        act(bench, chance)
    assert bench.tally() == bench.counts()
    sync_db.run(fetch(housekeeping.compact_tallies()))
    assert bench.tally() == bench.counts()


@pytest.mark.parametrize("seed", range(8))
def test_a_run_and_its_tasks_agree_after_random_work(bench: Bench, seed: int) -> None:
    """A run is final exactly if all its tasks are; a task is due exactly if it is not final."""
    bench.put(step("work", retries=1), name="one")
    bench.put(step("a"), step("b", "a"), step("c", "a", retries=2), on_failure(), name="dag")
    chance = random.Random(100 + seed)
    for _ in range(60):
        act(bench, chance)
    for task in Task.objects.filter(tenant_id=bench.tenant_id):
        is_final = Status(task.status).is_final
        is_parked = task.is_delayed and task.due_at is None
        assert (task.due_at is None) == (is_final or is_parked), task.id
        assert (task.finished_at is not None) == is_final, task.id
        run = bench.run(task.run_id)
        if not is_final:
            assert not Status(run.status).is_final and run.finished_at is None
        if not run.is_dag:
            assert Status(run.status).is_final == is_final
            assert not is_final or run.status == task.status
    for run_id in {task.run_id for task in Task.objects.filter(tenant_id=bench.tenant_id)}:
        if bench.run(run_id).is_dag and Status(bench.status(run_id)).is_final:
            assert set(bench.steps(run_id)) == {"a", "b", "c", "rescue"}
