"""Replay runs final tasks again under their ids; the old result is gone at once."""

from __future__ import annotations

import json

import pytest

from engine.states import Status, TaskEventKind
from tests.operations.bench import Bench, on_failure, step

Q, R, C, F, X = Status.QUEUED, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED
CHAIN = (step("a"), step("b", "a"), step("c", "b"), step("x"))


def test_a_standalone_run_starts_over(bench: Bench) -> None:
    run_id = bench.start(step("work", retries=1))
    bench.assign(run_id)
    bench.report(bench.failed(run_id))
    bench.assign(run_id)
    bench.report(bench.completed(run_id, b'{"old":1}'))
    assert bench.replay(run_id) == [run_id]
    assert bench.status(run_id) is bench.task_status(run_id) is Q
    assert bench.run(run_id).finished_at is None
    assert bench.output(run_id) is None
    assert bench.ready() == [(run_id, 2, 4)]
    task = bench.task(run_id)
    assert (task.retry_count, task.app_retry_count, task.internal_retry_count) == (2, 0, 0)
    assert bench.events(run_id)[-2:] == [
        (TaskEventKind.RETRIED_BY_USER, 2),
        (TaskEventKind.QUEUED, 2),
    ]
    text = bench.message(run_id, TaskEventKind.RETRIED_BY_USER)
    assert text == "Task was replayed, resetting task result."
    bench.assign(run_id)
    assert bench.status(run_id) is R
    bench.report(bench.completed(run_id, b'{"late":1}', retry_count=1))
    assert bench.task_status(run_id) is R
    bench.report(bench.failed(run_id))
    assert bench.ready() == [(run_id, 3, 4)]
    bench.run_to_end(run_id, output=b'{"new":1}')
    assert bench.status(run_id) is C and bench.output(run_id) == b'{"new":1}'


@pytest.mark.parametrize("is_assigned", [False, True])
def test_what_is_not_final_stays_as_it_is(bench: Bench, is_assigned: bool) -> None:
    run_id = bench.start()
    if is_assigned:
        bench.assign(run_id)
    assert bench.replay(run_id) == []
    assert bench.task(run_id).retry_count == 0


def test_a_run_may_be_replayed_again_and_again(bench: Bench) -> None:
    run_id = bench.start()
    for count in range(4):
        bench.run_to_end(run_id, output=b'{"n":%d}' % count)
        assert bench.output(run_id) == b'{"n":%d}' % count
        assert bench.replay(run_id) == [run_id]


def end_chain(bench: Bench) -> None:
    for _ in range(3):
        for action in bench.assign():
            output = b'{"%s":%d}' % (action.readable_id.encode(), action.retry_count)
            bench.report(bench.completed(action.task_id, output))


def test_a_whole_dag_run_starts_from_its_roots(bench: Bench) -> None:
    run_id = bench.start(*CHAIN)
    end_chain(bench)
    before = bench.steps(run_id)
    assert sorted(bench.replay(run_id)) == sorted(before.values())
    assert sorted(task for task, _, _ in bench.ready()) == sorted([before["a"], before["x"]])
    assert bench.status(run_id) is Q
    assert bench.assign(before["b"], before["c"]) == []
    end_chain(bench)
    assert bench.steps(run_id) == before
    assert bench.status(run_id) is C
    assert bench.output(before["c"]) == b'{"c":1}'
    assert bench.kinds(before["b"])[-4:] == ["RETRIED_BY_USER", "QUEUED", "ASSIGNED", "FINISHED"]


def test_a_task_is_replayed_with_its_descendants(bench: Bench) -> None:
    run_id = bench.start(*CHAIN)
    end_chain(bench)
    steps = bench.steps(run_id)
    assert sorted(bench.replay(steps["b"])) == sorted([steps["b"], steps["c"]])
    assert bench.ready() == [(steps["b"], 1, 4)]
    (action,) = bench.assign(steps["b"])
    assert json.loads(action.payload)["parents"] == {"a": {"a": 0}, "x": {"x": 0}}
    bench.report(bench.completed(steps["b"], b'{"b":"new"}'))
    assert bench.ready() == [(steps["c"], 1, 4)]
    (action,) = bench.assign(steps["c"])
    assert json.loads(action.payload)["parents"]["b"] == {"b": "new"}
    bench.report(bench.completed(steps["c"]))
    assert bench.status(run_id) is C
    assert [bench.task(steps[name]).retry_count for name in "abcx"] == [0, 1, 1, 0]


def test_a_task_born_cancelled_runs_with_its_input(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b", "a"))
    bench.run_to_failure(bench.steps(run_id)["a"])
    steps = bench.steps(run_id)
    assert bench.statuses(run_id) == {"a": F, "b": X}
    assert sorted(bench.replay(steps["a"])) == sorted(steps.values())
    bench.run_to_end(steps["a"], output=b'{"a":"good"}')
    assert bench.status(run_id) is R
    (action,) = bench.assign(steps["b"])
    payload = json.loads(action.payload)
    assert (payload["input"], payload["parents"]) == ({}, {"a": {"a": "good"}})
    assert action.retry_count == 1
    bench.report(bench.completed(steps["b"]))
    assert bench.status(run_id) is C


def test_parked_tasks_are_decided_anew(bench: Bench) -> None:
    run_id = bench.start(*CHAIN)
    end_chain(bench)
    steps = bench.steps(run_id)
    bench.replay(steps["a"])
    bench.run_to_failure(steps["a"])
    assert bench.statuses(run_id) == {"a": F, "b": X, "c": X, "x": C}
    assert bench.status(run_id) is F
    assert bench.output(steps["c"]) is None
    assert bench.events(steps["c"])[-1] == (TaskEventKind.CANCELLED, 1)


def test_parked_tasks_can_be_cancelled(bench: Bench) -> None:
    run_id = bench.start(*CHAIN)
    end_chain(bench)
    bench.replay(run_id)
    bench.cancel(run_id)
    assert set(bench.statuses(run_id).values()) == {X}
    assert bench.status(run_id) is X
    assert bench.expire(after_seconds=100_000) == 0


def test_parked_tasks_have_no_clock(bench: Bench) -> None:
    run_id = bench.start(*CHAIN)
    end_chain(bench)
    bench.replay(run_id)
    bench.assign()
    assert bench.expire(after_seconds=59) == 0
    assert bench.task(bench.steps(run_id)["c"]).due_at is None


def test_a_dag_run_that_is_not_over_is_not_replayed(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b", "a"))
    steps = bench.steps(run_id)
    bench.run_to_end(steps["a"])
    assert bench.replay(run_id) == []
    assert bench.replay(steps["a"]) == []
    assert bench.statuses(run_id) == {"a": C, "b": Q}


def test_the_on_failure_task_is_armed_again(bench: Bench) -> None:
    run_id = bench.start(step("a"), on_failure())
    bench.run_to_failure(bench.steps(run_id)["a"])
    rescue = bench.steps(run_id)["rescue"]
    bench.run_to_end(rescue, output=b'{"rescued":1}')
    bench.replay(run_id)
    bench.run_to_end(bench.steps(run_id)["a"])
    assert bench.status(run_id) is C
    assert bench.task(rescue).is_skipped and bench.output(rescue) == b'{"skipped":true}'
    bench.replay(run_id)
    bench.run_to_failure(bench.steps(run_id)["a"])
    assert not bench.task(rescue).is_skipped and bench.task_status(rescue) is Q


def test_strangers_replay_nothing(bench: Bench) -> None:
    run_id = bench.start()
    bench.run_to_end(run_id)
    assert Bench().replay(run_id) == []
    assert bench.status(run_id) is C


def test_a_run_replayed_in_part_is_running_and_one_replayed_whole_is_queued(bench: Bench) -> None:
    run_id = bench.start(*CHAIN)
    end_chain(bench)
    bench.replay(bench.steps(run_id)["b"])
    assert bench.status(run_id) is R
    assert bench.run(run_id).finished_at is None
    end_chain(bench)
    bench.replay(run_id)
    assert bench.status(run_id) is Q


def test_the_on_failure_task_alone_simply_runs_again(bench: Bench) -> None:
    run_id = bench.start(step("a"), on_failure())
    bench.run_to_failure(bench.steps(run_id)["a"], error=b"no luck")
    rescue = bench.steps(run_id)["rescue"]
    bench.run_to_end(rescue)
    assert bench.replay(rescue) == [rescue]
    (action,) = bench.assign(rescue)
    assert json.loads(action.payload)["step_run_errors"] == {"a": "no luck"}
    bench.report(bench.completed(rescue))
    assert bench.statuses(run_id) == {"a": F, "rescue": C}
    assert bench.status(run_id) is F


def test_a_part_that_is_replayed_leaves_the_on_failure_task_as_it_is(bench: Bench) -> None:
    run_id = bench.start(step("a"), on_failure())
    bench.run_to_failure(bench.steps(run_id)["a"])
    rescue = bench.steps(run_id)["rescue"]
    bench.run_to_end(rescue)
    bench.replay(bench.steps(run_id)["a"])
    bench.run_to_failure(bench.steps(run_id)["a"])
    assert bench.task(rescue).retry_count == 0
    assert bench.status(run_id) is F


def test_replaying_the_failed_tasks_takes_what_they_cancelled_along(bench: Bench) -> None:
    """From failed: clients name the failed tasks only."""
    run_id = bench.start(step("a"), step("b"), step("c", "a"), step("d", "b"), step("e", "c", "d"))
    steps = bench.steps(run_id)
    bench.run_to_end(steps["a"])
    bench.run_to_failure(steps["b"])
    bench.run_to_end(bench.steps(run_id)["c"])
    assert bench.statuses(run_id) == {"a": C, "b": F, "c": C, "d": X, "e": X}
    bench.replay(steps["b"])
    bench.run_to_end(steps["b"])
    bench.run_to_end(bench.steps(run_id)["d"])
    (action,) = bench.assign(bench.steps(run_id)["e"])
    assert set(json.loads(action.payload)["parents"]) == {"a", "b", "c", "d"}
    bench.report(bench.completed(action.task_id))
    assert bench.status(run_id) is C
    attempts = {name: bench.task(task).retry_count for name, task in bench.steps(run_id).items()}
    assert attempts == {"a": 0, "b": 1, "c": 0, "d": 1, "e": 1}
