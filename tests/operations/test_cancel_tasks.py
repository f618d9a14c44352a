"""Cancelling is final at once, wherever the task is, and never touches what has ended."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.ids import new_id
from engine.models import Run
from engine.operations.choose_runs import matching_runs
from engine.states import Status, TaskEventKind
from engine.store import sync_db
from engine.types import RunFilter, TriggerRequest
from tests.operations.bench import START, Bench, step

Q, R, C, F, X = Status.QUEUED, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED


def stops(bench: Bench) -> list[tuple[UUID | None, UUID, int]]:
    return [(end.stop_on, end.task_id, end.retry_count) for end in bench.changes.ended]


def test_a_queued_task_never_reaches_a_worker(bench: Bench) -> None:
    run_id = bench.start()
    assert bench.cancel(run_id) == [run_id]
    assert bench.status(run_id) is bench.task_status(run_id) is X
    assert stops(bench) == [(None, run_id, 0)]
    assert bench.finished() == [(run_id, X)]
    assert bench.kinds(run_id) == ["QUEUED", "CANCELLED"]
    assert bench.assign(run_id) == []
    assert bench.expire(after_seconds=10_000) == 0


def test_a_running_tasks_worker_is_told_to_stop(bench: Bench) -> None:
    run_id = bench.start(step("work", retries=3))
    worker_id = bench.worker()
    bench.assign(run_id, worker_id=worker_id)
    bench.report(bench.failed(run_id))
    bench.assign(run_id, worker_id=worker_id)
    bench.cancel(run_id)
    assert stops(bench) == [(worker_id, run_id, 1)]
    assert bench.events(run_id)[-1] == (TaskEventKind.CANCELLED, 1)
    for late in (bench.completed(run_id), bench.failed(run_id)):
        assert not bench.report(late)
    assert bench.status(run_id) is X
    assert bench.error(run_id, attempt=1) is None and bench.output(run_id) is None


def test_a_task_that_waits_for_its_retry_does_not_come_back(bench: Bench) -> None:
    run_id = bench.start(step("work", retries=1, backoff_factor=2.0))
    bench.assign(run_id)
    bench.report(bench.failed(run_id))
    bench.cancel(run_id)
    assert bench.expire(after_seconds=10) == 0
    assert bench.status(run_id) is X


@pytest.mark.parametrize("outcome", [C, F, X])
def test_a_finished_run_is_left_alone(bench: Bench, outcome: Status) -> None:
    run_id = bench.start()
    if outcome is C:
        bench.run_to_end(run_id)
    elif outcome is F:
        bench.run_to_failure(run_id)
    else:
        bench.cancel(run_id)
    before = bench.events(run_id)
    assert bench.cancel(run_id) == []
    assert bench.status(run_id) is outcome and bench.events(run_id) == before
    assert not bench.changes.ended


def test_a_dag_run_is_cancelled_with_all_that_would_have_come(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b"), step("c", "a"), step("d", "c"))
    steps = bench.steps(run_id)
    bench.run_to_end(steps["a"])
    bench.assign(steps["b"])
    bench.cancel(run_id)
    assert bench.statuses(run_id) == {"a": C, "b": X, "c": X, "d": X}
    assert bench.status(run_id) is X
    assert bench.finished() == [(run_id, X)]
    assert bench.kinds(bench.steps(run_id)["d"]) == ["CANCELLED"]


def test_a_dag_task_is_cancelled_with_its_descendants_only(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b"), step("c", "a"), step("d", "b"))
    steps = bench.steps(run_id)
    assert bench.cancel(steps["a"]) == [steps["a"]]
    assert bench.statuses(run_id) == {"a": X, "b": Q, "c": X}
    assert bench.status(run_id) is R
    bench.run_to_end(steps["b"])
    bench.run_to_end(bench.steps(run_id)["d"])
    assert bench.status(run_id) is X


def test_children_go_on(bench: Bench) -> None:
    parent = bench.start()
    (child,) = bench.trigger(TriggerRequest("flow", parent_task_id=parent, child_index=0))
    bench.cancel(parent)
    assert (bench.status(parent), bench.status(child)) == (X, Q)


def test_unknown_and_foreign_ids_are_ignored(bench: Bench) -> None:
    stranger = Bench()
    theirs, ours = stranger.start(), bench.start()
    assert bench.cancel(theirs, new_id(), ours) == [ours]
    assert stranger.status(theirs) is Q


def test_a_filter_selects_what_is_cancelled(bench: Bench) -> None:
    bench.put()
    ours, other = bench.trigger(
        TriggerRequest("flow", additional_metadata=b'{"team":"a"}'),
        TriggerRequest("flow", additional_metadata=b'{"team":"b"}'),
    )
    Run.objects.filter(tenant_id=bench.tenant_id).update(created_at=START)
    chosen = RunFilter(since=START, additional_metadata=(("team", "a"), ("team", "z")))
    ids = sync_db.run(matching_runs(bench.tenant_id, chosen))
    assert bench.cancel(*ids) == [ours]
    assert (bench.status(ours), bench.status(other)) == (X, Q)
