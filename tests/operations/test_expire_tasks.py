"""What time alone does to tasks."""

from __future__ import annotations

from datetime import timedelta

from engine.operations.rebuild_scheduler import load_snapshot
from engine.states import Status, TaskEventKind
from engine.store import sync_db, tasks
from engine.store.query import fetch
from tests.operations.bench import Bench, step

Q, R, C, F, X = Status.QUEUED, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED
SHORT = {"execution_timeout": "1m5s", "execution_timeout_seconds": 65.0}


def test_nobody_took_the_task_in_time(bench: Bench) -> None:
    run_id = bench.start(
        step("work", retries=3, schedule_timeout="10s", schedule_timeout_seconds=10.0)
    )
    assert bench.expire(after_seconds=9.9) == 0
    assert bench.expire(after_seconds=0.1) == 1
    assert bench.status(run_id) is bench.task_status(run_id) is X
    assert bench.kinds(run_id) == ["QUEUED", "SCHEDULING_TIMED_OUT"]
    assert bench.finished() == [(run_id, X)]


def test_an_execution_that_takes_too_long_fails_and_is_stopped(bench: Bench) -> None:
    run_id = bench.start(step("work", **SHORT))
    worker_id = bench.worker()
    bench.assign(run_id, worker_id=worker_id)
    bench.pass_time(60)
    bench.report(bench.started(run_id))
    assert bench.expire(after_seconds=4.9) == 0
    assert bench.expire(after_seconds=0.1) == 1
    assert bench.status(run_id) is F
    assert bench.error(run_id) == b"Task exceeded timeout of 1m5s"
    assert bench.events(run_id)[-1] == (TaskEventKind.TIMED_OUT, 0)
    assert bench.message(run_id, TaskEventKind.TIMED_OUT) == "Task exceeded timeout of 1m5s"
    assert [end.stop_on for end in bench.changes.ended] == [worker_id]
    assert not bench.report(bench.failed(run_id))


def test_what_runs_when_a_new_owner_reads_it_has_time_to_report(bench: Bench) -> None:
    run_id = bench.start(step("work", **SHORT))
    worker_id = bench.worker()
    bench.assign(run_id, worker_id=worker_id)
    bench.pass_time(100)
    reports_until = bench.now + timedelta(seconds=12)
    sync_db.run(load_snapshot(bench.tenant_id, bench.now - timedelta(hours=1), reports_until))
    assert bench.expire(after_seconds=11.9) == 0
    assert bench.expire(after_seconds=0.1) == 1
    assert bench.status(run_id) is F


def test_a_timeout_uses_up_a_retry_like_any_failure(bench: Bench) -> None:
    run_id = bench.start(step("work", retries=1, **SHORT))
    bench.assign(run_id)
    bench.expire(after_seconds=65)
    assert bench.ready() == [(run_id, 1, 4)]
    assert bench.kinds(run_id)[2:] == ["TIMED_OUT", "RETRYING", "QUEUED"]
    bench.pass_time(100)
    bench.assign(run_id)
    assert bench.expire(after_seconds=64) == 0
    assert bench.expire(after_seconds=1) == 1
    assert bench.status(run_id) is F


def test_a_dag_goes_on_after_its_timeouts(bench: Bench) -> None:
    run_id = bench.start(
        step("a", **SHORT),
        step("b", schedule_timeout="65s", schedule_timeout_seconds=65.0),
        step("c", "a"),
    )
    bench.assign(bench.steps(run_id)["a"])
    assert bench.expire(after_seconds=65) == 2
    assert bench.statuses(run_id) == {"a": F, "b": X, "c": X}
    assert bench.status(run_id) is F


def test_other_tenants_tasks_are_not_ours_to_expire(bench: Bench) -> None:
    stranger = Bench()
    run_id = stranger.start()
    assert bench.expire(after_seconds=10_000) == 0
    assert stranger.status(run_id) is Q


def test_what_has_ended_has_no_deadline(bench: Bench) -> None:
    run_id = bench.start()
    bench.run_to_end(run_id)
    assert bench.expire(after_seconds=10_000) == 0
    assert sync_db.run(fetch(tasks.next_due([bench.tenant_id]))) == []


def test_refreshing_adds_to_the_deadline(bench: Bench) -> None:
    run_id = bench.start(step("work", **SHORT))

    def refresh(by: Bench) -> list[object]:
        query = tasks.refresh_timeout(by.tenant_id, run_id, 30.0, "by 30s", bench.now)
        return [*sync_db.run(fetch(query))]

    assert refresh(bench) == []
    bench.assign(run_id)
    deadline = bench.now + timedelta(seconds=65)
    bench.pass_time(10)
    assert refresh(Bench()) == []
    assert refresh(bench) == [deadline + timedelta(seconds=30)]
    assert bench.message(run_id, TaskEventKind.TIMEOUT_REFRESHED) == "by 30s"
    assert bench.expire(after_seconds=84) == 0
    assert bench.expire(after_seconds=1) == 1


def test_a_slot_is_released_once_and_the_clock_runs_on(bench: Bench) -> None:
    run_id = bench.start(step("work", **SHORT))

    def release() -> list[int]:
        return sync_db.run(fetch(tasks.release_slot(bench.tenant_id, run_id, bench.now)))

    assert release() == []
    bench.assign(run_id)
    assert release() == [0] == release()
    assert bench.kinds(run_id).count("SLOT_RELEASED") == 1
    assert bench.task_status(run_id) is R
    bench.expire(after_seconds=65)
    assert bench.status(run_id) is F


def test_an_attempt_is_assigned_once(bench: Bench) -> None:
    run_id = bench.start()
    first, second = bench.worker(), bench.worker()
    assert len(bench.assign(run_id, worker_id=first)) == 1
    bench.report(bench.failed(run_id))
    assert bench.assign(run_id, worker_id=second) == []
    assert bench.task(run_id).worker_id == first
