"""What workers report counts once, for the attempt it names, and never moves anything back."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.ids import new_id
from engine.models import Payload
from engine.states import PayloadKind, Status, TaskEventKind
from engine.types import ReportKind, TaskReport
from tests.operations.bench import Bench, step


@pytest.fixture
def running(bench: Bench) -> UUID:
    run_id = bench.start(step("work", retries=2))
    bench.assign(run_id)
    return run_id


def test_the_log_of_a_run_that_goes_well(bench: Bench, running: UUID) -> None:
    bench.report(bench.started(running))
    bench.pass_time(1)
    bench.report(bench.completed(running))
    assert bench.kinds(running) == ["QUEUED", "ASSIGNED", "STARTED", "FINISHED"]
    assert bench.status(running) is bench.task_status(running) is Status.COMPLETED
    assert bench.output(running) == b'{"n":1}'
    assert bench.run(running).finished_at == bench.task(running).finished_at == bench.now
    assert bench.finished() == [(running, Status.COMPLETED)]
    assert bench.task(running).due_at is None


def test_started_counts_once(bench: Bench, running: UUID) -> None:
    bench.report(bench.started(running, retry_count=0))
    assert bench.changes.acknowledged == [(bench.tenant_id, running)]
    again = bench.report(bench.started(running, retry_count=0), bench.started(running))
    assert bench.changes.acknowledged == [] and again == set()
    assert bench.kinds(running).count("STARTED") == 1


def test_started_after_the_end_changes_nothing(bench: Bench, running: UUID) -> None:
    bench.report(bench.completed(running))
    done = bench.report(bench.started(running))
    assert not done and bench.status(running) is Status.COMPLETED


def test_started_and_completed_may_come_together_in_any_order(bench: Bench, running: UUID) -> None:
    bench.report(bench.completed(running), bench.started(running))
    assert bench.kinds(running) == ["QUEUED", "ASSIGNED", "STARTED", "FINISHED"]


def test_no_output_is_success(bench: Bench, running: UUID) -> None:
    bench.report(bench.completed(running, b""))
    assert bench.status(running) is Status.COMPLETED
    assert bench.output(running) is None


def test_an_output_is_kept_byte_for_byte(bench: Bench, running: UUID) -> None:
    output = '{"a": 1.0, "b":"ünï"}'.encode()
    bench.report(bench.completed(running, output))
    assert bench.output(running) == output


def test_the_second_outcome_is_stale(bench: Bench, running: UUID) -> None:
    bench.report(bench.completed(running, b'{"n":1}'))
    for late in (
        bench.completed(running, b'{"n":2}'),
        bench.failed(running),
        bench.failed(running, retry_count=0),
    ):
        done = bench.report(late)
        assert not done and not bench.finished() and not bench.ready()
    assert bench.output(running) == b'{"n":1}'
    assert bench.status(running) is Status.COMPLETED


def test_two_outcomes_in_one_batch_are_one(bench: Bench, running: UUID) -> None:
    done = bench.report(
        bench.completed(running, b'{"n":1}', retry_count=0),
        bench.completed(running, b'{"n":1}'),
        bench.failed(running),
    )
    assert not done
    assert bench.finished() == [(running, Status.COMPLETED)]
    assert len(bench.changes.ended) == 1
    assert bench.kinds(running).count("FINISHED") == 1


@pytest.mark.parametrize("kind", [ReportKind.COMPLETED, ReportKind.FAILED, ReportKind.CANCELLED])
def test_a_report_about_an_older_attempt_is_stale(
    bench: Bench, running: UUID, kind: ReportKind
) -> None:
    bench.report(bench.failed(running))
    bench.assign(running)
    done = bench.report(TaskReport(bench.tenant_id, running, kind, retry_count=0))
    assert not done
    assert bench.task_status(running) is Status.RUNNING


@pytest.mark.parametrize("stale_first", [True, False])
@pytest.mark.parametrize("kind", [ReportKind.COMPLETED, ReportKind.FAILED])
def test_two_attempts_of_a_task_in_one_batch(
    bench: Bench, running: UUID, kind: ReportKind, stale_first: bool
) -> None:
    """The stale one must not hide the current one, whichever comes first."""
    bench.report(bench.failed(running))
    bench.assign(running)
    reports = [
        TaskReport(bench.tenant_id, running, kind, retry_count=count, payload=b"%d" % count)
        for count in (0, 1)
    ]
    bench.report(*(reports if stale_first else reversed(reports)))
    if kind is ReportKind.COMPLETED:
        assert bench.status(running) is Status.COMPLETED
        assert bench.output(running) == b"1"
    else:
        assert bench.task(running).retry_count == 2
        assert bench.error(running, attempt=1) == b"1"


def test_reports_about_queued_tasks_are_stale(bench: Bench) -> None:
    run_id = bench.start()
    done = bench.report(bench.completed(run_id), bench.failed(run_id), bench.started(run_id))
    assert not done
    assert bench.task_status(run_id) is Status.QUEUED


def test_unknown_and_foreign_tasks_are_told_apart_from_stale_ones(
    bench: Bench, running: UUID
) -> None:
    stranger, nobody = Bench(), new_id()
    for kind in (ReportKind.STARTED, ReportKind.COMPLETED, ReportKind.FAILED, ReportKind.CANCELLED):
        foreign = TaskReport(stranger.tenant_id, running, kind)
        missing = TaskReport(bench.tenant_id, nobody, kind)
        done = bench.report(foreign, missing)
        assert done == {(running, stranger.tenant_id), (nobody, bench.tenant_id)}
    assert bench.task_status(running) is Status.RUNNING
    assert not Payload.objects.filter(owner_id=running, kind=PayloadKind.OUTPUT).exists()


def test_neighbours_in_a_batch_do_not_disturb_each_other(bench: Bench) -> None:
    bench.put(step("work"))
    ids = [bench.trigger()[0] for _ in range(4)]
    bench.assign(*ids[:3])
    done = bench.report(
        bench.completed(ids[0], b'{"n":0}'),
        bench.failed(ids[1], b"one"),
        bench.started(ids[2]),
        bench.completed(ids[3]),
        bench.completed(new_id()),
    )
    assert len(done) == 1
    expected = [Status.COMPLETED, Status.FAILED, Status.RUNNING, Status.QUEUED]
    assert [bench.task_status(run_id) for run_id in ids] == expected


def test_cancelled_by_the_worker_is_a_cancellation(bench: Bench, running: UUID) -> None:
    bench.report(TaskReport(bench.tenant_id, running, ReportKind.CANCELLED, retry_count=0))
    assert bench.status(running) is Status.CANCELLED
    assert bench.kinds(running)[-1] == "CANCELLED"


def test_dag_tasks_touch_their_run(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b"))
    task_id = bench.steps(run_id)["a"]
    bench.assign(task_id)
    bench.report(bench.started(task_id))
    assert bench.changes.touched == {(bench.tenant_id, run_id)}
    bench.report(bench.completed(task_id, b""))
    assert bench.task_status(task_id) is Status.COMPLETED
    assert bench.message(task_id, TaskEventKind.FINISHED) == ""
