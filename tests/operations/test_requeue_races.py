"""An attempt that its worker acknowledges while it is being taken back stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import pytest

from engine.models import Worker
from engine.operations.expire_tasks import requeue_swallowed, requeue_undelivered
from engine.states import Status
from engine.store import lost_tasks, sync_db
from engine.store.changes import Changes
from engine.store.query import Operation, fetch
from tests.operations.bench import Bench, step

Result = TypeVar("Result")


def interrupted(
    operation: Operation[Result], statement: str, meanwhile: Callable[[], object]
) -> Operation[Result]:
    """Let something happen just before an operation runs a statement."""
    running = iter(operation)
    asked = next(running)
    try:
        while True:
            if not isinstance(asked, Changes) and any(query.name == statement for query in asked):
                meanwhile()
            asked = running.send((yield asked))
    except StopIteration as stop:
        result: Result = stop.value
        return result


def assigned(bench: Bench, *, is_dag: bool) -> UUID:
    """Return a task that was sent to a worker whose stream has ended."""
    run_id = bench.start(step("work"), *([step("after", "work")] if is_dag else []))
    task_id = bench.steps(run_id)["work"] if is_dag else run_id
    bench.assign(task_id)
    bench.pass_time(60)
    return task_id


def undelivered(bench: Bench, task_id: UUID) -> Operation[None]:
    Worker.objects.filter(tenant_id=bench.tenant_id).update(is_active=False)
    return requeue_undelivered([task_id], bench.now, bench.now)


def swallowed(bench: Bench, task_id: UUID) -> Operation[None]:
    found = sync_db.run(fetch(lost_tasks.swallowed([task_id], bench.now)))
    return requeue_swallowed(found, bench.now)


TAKING_BACK = [undelivered, swallowed]


@pytest.mark.parametrize("taking_back", TAKING_BACK)
@pytest.mark.parametrize("is_dag", [False, True])
def test_what_no_worker_acknowledged_is_queued_again(
    taking_back: Callable[[Bench, UUID], Operation[None]], is_dag: bool, bench: Bench
) -> None:
    task_id = assigned(bench, is_dag=is_dag)
    sync_db.run(taking_back(bench, task_id))
    task = bench.task(task_id)
    assert (task.status, task.retry_count, task.internal_retry_count) == (Status.QUEUED, 1, 1)


@pytest.mark.parametrize("taking_back", TAKING_BACK)
@pytest.mark.parametrize("is_dag", [False, True])
def test_what_is_acknowledged_at_the_last_moment_is_not(
    taking_back: Callable[[Bench, UUID], Operation[None]], is_dag: bool, bench: Bench
) -> None:
    task_id = assigned(bench, is_dag=is_dag)
    operation = taking_back(bench, task_id)
    sync_db.run(interrupted(operation, "task.lock", lambda: bench.report(bench.started(task_id))))
    task = bench.task(task_id)
    assert (task.status, task.retry_count, task.internal_retry_count) == (Status.RUNNING, 0, 0)
    assert bench.error(task_id) is None
    bench.report(bench.completed(task_id, retry_count=0))
    assert bench.task_status(task_id) is Status.COMPLETED


def test_what_fails_otherwise_fails_although_it_was_started(bench: Bench) -> None:
    task_id = assigned(bench, is_dag=False)
    bench.report(bench.started(task_id))
    bench.report(bench.failed(task_id))
    assert bench.task_status(task_id) is Status.FAILED
