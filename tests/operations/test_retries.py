"""A failed attempt is tried again as often, and as late, as its definition says."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from engine.models import Task, TaskEvent, Worker
from engine.operations.expire_tasks import requeue_lost, requeue_undelivered
from engine.operations.parts.fail_attempts import MAX_INTERNAL_RETRIES
from engine.states import Status, TaskEventKind
from tests.changes import changes_of
from tests.operations.bench import Bench, step


def running(bench: Bench, **options: object) -> UUID:
    run_id = bench.start(step("work", **options))
    bench.assign(run_id)
    return run_id


def test_without_retries_the_first_failure_is_final(bench: Bench) -> None:
    run_id = running(bench)
    bench.report(bench.failed(run_id, b"first line\nlast line"))
    assert bench.status(run_id) is bench.task_status(run_id) is Status.FAILED
    assert bench.error(run_id) == b"first line\nlast line"
    assert bench.kinds(run_id) == ["QUEUED", "ASSIGNED", "FAILED"]
    assert bench.finished() == [(run_id, Status.FAILED)]


def test_a_retry_is_queued_above_what_users_may_ask_for(bench: Bench) -> None:
    run_id = running(bench, retries=1)
    bench.report(bench.failed(run_id, b"one"))
    assert bench.ready() == [(run_id, 1, 4)]
    assert bench.events(run_id)[2:] == [
        (TaskEventKind.FAILED, 0),
        (TaskEventKind.RETRYING, 1),
        (TaskEventKind.QUEUED, 1),
    ]
    assert bench.message(run_id, TaskEventKind.RETRYING) == "This is retry number 1."
    assert bench.status(run_id) is Status.RUNNING
    assert not bench.finished()
    task = bench.task(run_id)
    assert (task.worker_id, task.started_at, task.assigned_at) == (None, None, None)
    assert task.due_at == bench.now + timedelta(seconds=300)
    bench.assign(run_id)
    bench.report(bench.failed(run_id, b"two"))
    assert bench.status(run_id) is Status.FAILED
    assert [bench.error(run_id, attempt) for attempt in (0, 1)] == [b"one", b"two"]
    assert bench.kinds(run_id).count("RETRYING") == 1


def test_a_failure_that_should_not_be_retried_is_final(bench: Bench) -> None:
    run_id = running(bench, retries=5)
    bench.report(bench.failed(run_id, should_not_retry=True))
    assert bench.status(run_id) is Status.FAILED
    assert "RETRYING" not in bench.kinds(run_id)


def test_three_tasks_with_one_retry_log_three_failures_and_one_retry(bench: Bench) -> None:
    bench.put(step("work", retries=1))
    hopeless, unlucky, fine = (bench.trigger()[0] for _ in range(3))
    bench.assign()
    bench.report(
        bench.failed(hopeless, should_not_retry=True),
        bench.failed(unlucky),
        bench.completed(fine),
    )
    bench.assign()
    bench.report(bench.failed(unlucky))
    kinds = [kind for run_id in (hopeless, unlucky, fine) for kind in bench.kinds(run_id)]
    assert (kinds.count("FAILED"), kinds.count("RETRYING")) == (3, 1)


@pytest.mark.parametrize(
    ("options", "retry_after_ms", "seconds"),
    [
        ({"backoff_factor": 2.0}, None, [2, 4, 8]),
        ({"backoff_factor": 3.0, "backoff_max_seconds": 5}, None, [3, 5, 5]),
        ({"backoff_factor": 2.0}, 1500, [1.5, 1.5, 1.5]),
        ({}, 250, [0.25, 0.25, 0.25]),
    ],
)
def test_backoff_delays_each_retry(
    bench: Bench, options: dict[str, float], retry_after_ms: int | None, seconds: list[float]
) -> None:
    run_id = running(bench, retries=3, **options)
    for number, delay in enumerate(seconds, start=1):
        bench.report(bench.failed(run_id, retry_after_ms=retry_after_ms))
        task = bench.task(run_id)
        assert task.is_delayed and task.due_at == bench.now + timedelta(seconds=delay)
        assert bench.ready() == [] and bench.assign(run_id) == []
        assert bench.kinds(run_id)[-1] == "RETRYING"
        text = bench.message(run_id, TaskEventKind.RETRYING)
        assert text.startswith(f"This is retry number {number}. It waits {delay:g} s, until 2026-")
        assert bench.expire(after_seconds=delay - 0.001) == 0
        assert bench.expire(after_seconds=0.001) == 1
        assert bench.ready() == [(run_id, number, 4)]
        assert bench.events(run_id)[-1] == (TaskEventKind.QUEUED, number)
        assert bench.task(run_id).due_at == bench.now + timedelta(seconds=300)
        bench.assign(run_id)
    bench.report(bench.failed(run_id))
    assert bench.status(run_id) is Status.FAILED


def undelivered(bench: Bench, *task_ids: UUID) -> None:
    quiet_since = bench.now - timedelta(seconds=12)
    bench.changes = changes_of(requeue_undelivered(task_ids, quiet_since, bench.now))


def break_stream(bench: Bench, task_id: UUID) -> None:
    worker_id = bench.task(task_id).worker_id
    assert worker_id
    Worker.objects.filter(id=worker_id).update(is_active=False)


def test_an_attempt_that_never_reached_its_worker_gets_another(bench: Bench) -> None:
    run_id = running(bench)
    worker_id = bench.task(run_id).worker_id
    undelivered(bench, run_id)
    assert bench.task(run_id).retry_count == 0
    break_stream(bench, run_id)
    bench.pass_time(12)
    undelivered(bench, run_id)
    assert bench.task(run_id).retry_count == 0
    bench.pass_time(1)
    undelivered(bench, run_id)
    task = bench.task(run_id)
    assert (task.retry_count, task.app_retry_count, task.internal_retry_count) == (1, 0, 1)
    assert task.due_at == bench.now + timedelta(seconds=0.1)
    assert bench.events(run_id)[2:] == [(TaskEventKind.FAILED, 0)]
    assert bench.changes.ended[0].stop_on == worker_id
    bench.expire(after_seconds=0.1)
    assert bench.ready() == [(run_id, 1, 4)]


def test_an_acknowledged_attempt_is_left_alone(bench: Bench) -> None:
    run_id = running(bench)
    bench.report(bench.started(run_id))
    break_stream(bench, run_id)
    bench.pass_time(13)
    undelivered(bench, run_id)
    assert bench.task(run_id).retry_count == 0


def test_a_stream_opened_after_the_assignment_did_not_carry_it(bench: Bench) -> None:
    run_id = running(bench)
    bench.pass_time(1)
    Worker.objects.filter(tenant_id=bench.tenant_id).update(last_listener_at=bench.now)
    bench.pass_time(12)
    undelivered(bench, run_id)
    assert bench.task(run_id).retry_count == 0
    bench.pass_time(1)
    undelivered(bench, run_id)
    assert bench.task(run_id).retry_count == 1


def lose(bench: Bench, task_id: UUID, *, silent_for: float = 31.0) -> None:
    worker_id = bench.task(task_id).worker_id
    assert worker_id
    bench.pass_time(silent_for)
    since = bench.now - timedelta(seconds=30)
    bench.changes = changes_of(requeue_lost([worker_id], since, bench.now))


def test_tasks_of_a_silent_worker_are_reassigned_at_once(bench: Bench) -> None:
    run_id = running(bench)
    bench.report(bench.started(run_id))
    lose(bench, run_id, silent_for=29.0)
    assert bench.task_status(run_id) is Status.RUNNING
    lose(bench, run_id, silent_for=2.0)
    assert bench.ready() == [(run_id, 1, 4)]
    assert bench.events(run_id)[3:] == [(TaskEventKind.REASSIGNED, 0), (TaskEventKind.QUEUED, 1)]
    text = bench.message(run_id, TaskEventKind.REASSIGNED)
    assert text == "Worker did not send a heartbeat for 30 seconds"
    bench.assign(run_id)
    late = bench.report(bench.completed(run_id, retry_count=0))
    assert not late and bench.task_status(run_id) is Status.RUNNING


def test_a_task_that_gave_its_slot_back_is_not_reassigned(bench: Bench) -> None:
    run_id = running(bench)
    Task.objects.filter(id=run_id).update(is_slot_released=True)
    lose(bench, run_id)
    assert bench.task(run_id).retry_count == 0


def test_reassignment_has_a_limit_of_its_own(bench: Bench) -> None:
    run_id = running(bench)
    for count in range(1, MAX_INTERNAL_RETRIES + 1):
        lose(bench, run_id)
        assert bench.task(run_id).internal_retry_count == count
        bench.assign(run_id)
    lose(bench, run_id)
    assert bench.status(run_id) is Status.FAILED
    error = b"Task reached its maximum reassignment count"
    assert bench.error(run_id, attempt=MAX_INTERNAL_RETRIES) == error


def test_the_log_names_the_worker_of_what_failed_and_none_of_what_waits(bench: Bench) -> None:
    run_id = running(bench, retries=1)
    worker_id = bench.task(run_id).worker_id
    bench.report(bench.failed(run_id))
    rows = TaskEvent.objects.filter(task_id=run_id).order_by("id")
    assert [(TaskEventKind(row.kind).name, row.retry_count, row.worker_id) for row in rows] == [
        ("QUEUED", 0, None),
        ("ASSIGNED", 0, worker_id),
        ("FAILED", 0, worker_id),
        ("RETRYING", 1, None),
        ("QUEUED", 1, None),
    ]
    assert [task.has_begun for _, task in bench.changes.ready] == [True]
