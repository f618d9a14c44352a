"""How a DAG run moves on as its tasks end."""

from __future__ import annotations

import json

from engine.states import Status
from tests.operations.bench import Bench, on_failure, step

Q, R, C, F, X = Status.QUEUED, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED

DIAMOND = (step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))


def test_a_child_waits_for_all_its_parents(bench: Bench) -> None:
    run_id = bench.start(*DIAMOND)
    assert bench.statuses(run_id) == {"a": Q}
    bench.run_to_end(bench.steps(run_id)["a"])
    assert bench.statuses(run_id) == {"a": C, "b": Q, "c": Q}
    bench.run_to_end(bench.steps(run_id)["b"])
    assert bench.statuses(run_id) == {"a": C, "b": C, "c": Q}
    bench.run_to_end(bench.steps(run_id)["c"])
    assert bench.statuses(run_id)["d"] is Q
    assert bench.status(run_id) is R
    bench.run_to_end(bench.steps(run_id)["d"])
    assert bench.status(run_id) is C
    assert bench.finished() == [(run_id, C)]


def test_parents_that_end_in_one_batch_create_one_child(bench: Bench) -> None:
    run_id = bench.start(*DIAMOND)
    bench.run_to_end(bench.steps(run_id)["a"])
    steps = bench.steps(run_id)
    bench.assign()
    bench.report(bench.completed(steps["b"]), bench.completed(steps["c"]))
    assert [task_id for task_id, _, _ in bench.ready()] == [bench.steps(run_id)["d"]]
    assert len(bench.steps(run_id)) == 4


def test_workers_get_the_outputs_of_all_tasks_so_far(bench: Bench) -> None:
    run_id = bench.start(*DIAMOND)
    bench.run_to_end(bench.steps(run_id)["a"], output=b'{"from":"a"}')
    bench.run_to_end(bench.steps(run_id)["b"], output=b"")
    bench.run_to_end(bench.steps(run_id)["c"], output=b'"no object"')
    (action,) = bench.assign(bench.steps(run_id)["d"])
    payload = json.loads(action.payload)
    assert payload["parents"] == {"a": {"from": "a"}, "b": {}, "c": {}}
    assert "step_run_errors" not in payload


def test_failure_cancels_everything_below_at_once(bench: Bench) -> None:
    run_id = bench.start(*DIAMOND, step("e"))
    bench.run_to_failure(bench.steps(run_id)["a"])
    assert bench.statuses(run_id) == {"a": F, "b": X, "c": X, "d": X, "e": Q}
    assert bench.kinds(bench.steps(run_id)["d"]) == ["CANCELLED"]
    assert bench.status(run_id) is R
    assert bench.finished() == []
    bench.run_to_end(bench.steps(run_id)["e"])
    assert bench.status(run_id) is F


def test_a_retry_of_a_parent_decides_nothing(bench: Bench) -> None:
    run_id = bench.start(step("a", retries=1), step("b", "a"))
    task_id = bench.steps(run_id)["a"]
    bench.assign(task_id)
    bench.report(bench.failed(task_id))
    assert bench.statuses(run_id) == {"a": Q}
    assert bench.status(run_id) is R
    bench.run_to_end(task_id)
    assert bench.statuses(run_id) == {"a": C, "b": Q}


def test_the_on_failure_task_runs_at_the_first_failure(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b"), on_failure())
    bench.run_to_failure(bench.steps(run_id)["a"], "Grüße\nlast".encode())
    assert bench.statuses(run_id) == {"a": F, "b": Q, "rescue": Q}
    (action,) = bench.assign(bench.steps(run_id)["rescue"])
    assert json.loads(action.payload)["step_run_errors"] == {"a": "Grüße\nlast"}
    bench.report(bench.completed(action.task_id))
    assert bench.status(run_id) is R
    bench.run_to_end(bench.steps(run_id)["b"])
    assert bench.status(run_id) is F


def test_without_a_failure_the_on_failure_task_is_skipped(bench: Bench) -> None:
    run_id = bench.start(step("a"), on_failure())
    bench.run_to_end(bench.steps(run_id)["a"])
    rescue = bench.steps(run_id)["rescue"]
    assert bench.statuses(run_id) == {"a": C, "rescue": C}
    assert bench.task(rescue).is_skipped
    assert bench.output(rescue) == b'{"skipped":true}'
    assert bench.kinds(rescue) == ["SKIPPED"]
    assert bench.status(run_id) is C


def test_cancellation_does_not_run_the_on_failure_task(bench: Bench) -> None:
    run_id = bench.start(step("a"), on_failure())
    bench.cancel(run_id)
    assert bench.statuses(run_id) == {"a": X, "rescue": C}
    assert bench.status(run_id) is X


def test_failed_outranks_cancelled_outranks_completed(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b"), step("c"))
    steps = bench.steps(run_id)
    bench.run_to_end(steps["a"])
    assert bench.status(run_id) is R
    bench.cancel(steps["b"])
    assert bench.status(run_id) is R
    bench.run_to_failure(steps["c"])
    assert bench.status(run_id) is F


def test_a_run_is_queued_until_a_task_is_assigned(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b"))
    assert bench.status(run_id) is Q and bench.run(run_id).started_at is None
    bench.pass_time(1)
    bench.assign(bench.steps(run_id)["a"])
    assert bench.status(run_id) is R and bench.run(run_id).started_at == bench.now


def test_a_whole_run_may_end_in_one_batch_per_level(bench: Bench) -> None:
    bench.put(*DIAMOND)
    runs = [bench.trigger()[0] for _ in range(20)]
    for _ in range(3):
        actions = bench.assign()
        bench.report(*[bench.completed(action.task_id) for action in actions])
    assert {bench.status(run_id) for run_id in runs} == {C}
    assert len(bench.finished()) == 20


def test_five_hundred_tasks_are_no_matter(bench: Bench) -> None:
    """A row of twenty and 478 beside each other under one root, and one after all."""
    chain = [step("c0", "top"), *(step(f"c{n}", f"c{n - 1}") for n in range(1, 20))]
    wide = [step(f"w{n}", "top") for n in range(478)]
    parents = [one.readable_id for one in (*wide, chain[-1])]
    run_id = bench.start(step("top"), *chain, *wide, step("end", *parents))
    rounds = 0
    while actions := bench.assign():
        bench.report(*[bench.completed(action.task_id) for action in actions])
        rounds += 1
    assert rounds == 22
    assert bench.status(run_id) is C
    assert len(bench.steps(run_id)) == 500
