"""When attempts start and end: as their workers say, if their clocks can be right."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from engine.models import TaskEvent
from engine.states import TaskEventKind
from tests.operations.bench import Bench, step

FAR = timedelta(days=36_500)


@pytest.fixture
def running(bench: Bench) -> UUID:
    run_id = bench.start(step("work"))
    bench.assign(run_id)
    return run_id


def logged(bench: Bench, task_id: UUID, kind: TaskEventKind) -> datetime:
    return TaskEvent.objects.get(task_id=task_id, kind=kind).at


def at(bench: Bench, seconds: float) -> datetime:
    return bench.now + timedelta(seconds=seconds)


@pytest.mark.parametrize("is_failed", [False, True])
def test_reports_that_come_together_keep_their_times(
    bench: Bench, running: UUID, is_failed: bool
) -> None:
    bench.pass_time(5)
    start, end = at(bench, -4), at(bench, -1)
    tell = bench.failed if is_failed else bench.completed
    bench.report(tell(running, at=end), bench.started(running, at=start))
    task, run = bench.task(running), bench.run(running)
    assert (task.started_at, task.finished_at) == (start, end)
    assert (run.started_at, run.finished_at) == (start, end)
    kind = TaskEventKind.FAILED if is_failed else TaskEventKind.FINISHED
    assert logged(bench, running, TaskEventKind.STARTED) == start
    assert logged(bench, running, kind) == end


def test_tasks_of_a_dag_keep_their_times_too(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b", "a"))
    task_id = bench.steps(run_id)["a"]
    bench.assign(task_id)
    bench.pass_time(5)
    start, end = at(bench, -4), at(bench, -1)
    bench.report(bench.started(task_id, at=start), bench.completed(task_id, at=end))
    assert (bench.task(task_id).started_at, bench.task(task_id).finished_at) == (start, end)
    bench.cancel(run_id)
    assert bench.run(run_id).started_at == start


@pytest.mark.parametrize("wrong_by", [-FAR, timedelta(seconds=-30), timedelta(seconds=30), FAR])
@pytest.mark.parametrize("is_failed", [False, True])
def test_a_clock_that_is_wrong_is_not_believed(
    bench: Bench, running: UUID, wrong_by: timedelta, is_failed: bool
) -> None:
    assigned = bench.now
    bench.pass_time(1)
    bench.report(bench.started(running, at=bench.now + wrong_by))
    started = assigned if wrong_by < timedelta() else bench.now
    assert bench.task(running).started_at == started
    bench.pass_time(10)
    tell = bench.failed if is_failed else bench.completed
    bench.report(tell(running, at=bench.now + wrong_by))
    task = bench.task(running)
    assert (task.started_at, task.finished_at) == (started, bench.now)


def test_a_run_that_was_retried_started_when_its_first_attempt_did(bench: Bench) -> None:
    run_id = bench.start(step("work", retries=1))
    bench.assign(run_id)
    bench.pass_time(1)
    first = bench.now
    bench.report(bench.started(run_id))
    bench.pass_time(1)
    bench.report(bench.failed(run_id))
    bench.assign(run_id)
    bench.pass_time(1)
    bench.report(bench.started(run_id), bench.completed(run_id))
    assert bench.task(run_id).started_at == bench.now
    assert bench.run(run_id).started_at == first


def test_what_was_cancelled_before_it_started_never_started(bench: Bench, running: UUID) -> None:
    bench.cancel(running)
    assert bench.task(running).started_at is bench.run(running).started_at is None


def test_what_timed_out_before_it_started_never_started(bench: Bench, running: UUID) -> None:
    assert bench.expire(after_seconds=3_600) == 1
    assert bench.task(running).started_at is bench.run(running).started_at is None
    assert bench.task(running).finished_at == bench.now


def test_a_dag_that_was_cancelled_before_it_started_never_started(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b", "a"))
    bench.assign()
    bench.cancel(run_id)
    tasks = [bench.task(task_id) for task_id in bench.steps(run_id).values()]
    assert bench.run(run_id).started_at is None
    assert [task.started_at for task in tasks] == [None] * len(tasks)


def test_a_failure_at_the_very_moment_of_its_start_is_believed(bench: Bench) -> None:
    run_id = bench.start()
    bench.assign(run_id)
    began = bench.now
    bench.pass_time(10)
    bench.report(bench.started(run_id, at=began), bench.failed(run_id, at=began))
    task = bench.task(run_id)
    assert (task.started_at, task.finished_at) == (began, began)
