"""Keys of concurrency groups are made when a task is created, and places are lost by cancellation."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.models import Task
from engine.operations.cancel_tasks import cancel_superseded
from engine.operations.rebuild_scheduler import (
    load_in_groups,
    load_queue_head,
    load_snapshot,
)
from engine.operations.restart_clocks import restart_clocks
from engine.states import Status, TaskEventKind
from engine.store import queues, sync_db
from engine.store.query import Operation, fetch
from engine.store.queues import QueuePlace
from tests.changes import changes_of
from tests.operations.bench import Bench, on_failure, step
from tests.operations.claims import claims, keys, limited, queued, request


def test_a_single_task_asks_for_the_workflows_slots_first_and_then_for_its_own(
    bench: Bench,
) -> None:
    bench.put(
        step("work", concurrency=(limited("string(input.n)", 7),)),
        concurrency=(limited(), limited("additional_metadata.team + workflow_run_id", 3)),
    )
    (run_id,) = bench.trigger(
        request(b'{"user":"ada","n":4}', additional_metadata=b'{"team":"red"}')
    )
    assert keys(bench) == [["ada", f"red{run_id}", "4"]]
    (asked,) = claims(bench)
    assert [claim.max_runs for claim in asked.chain] == [1, 3, 7]
    assert [claim.counts_priority for claim in asked.chain] == [False, False, True]


def test_groups_of_another_version_are_other_groups(bench: Bench) -> None:
    bench.put(step("work", concurrency=(limited(),)))
    bench.trigger(request())
    (first,) = claims(bench)
    bench.put(step("work", concurrency=(limited(max_runs=2),)))
    bench.trigger(request())
    (second,) = claims(bench)
    assert first.chain[0].group != second.chain[0].group


def test_tasks_without_concurrency_store_and_ask_for_nothing(bench: Bench) -> None:
    run_id = bench.start()
    assert bench.task(run_id).concurrency_keys is None
    assert claims(bench) == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 + 1", "expected string output for concurrency key, got int"),
        ("input.n > 1.0", "expected string output for concurrency key, got bool"),
        ("input.nobody", 'no such key: "nobody"'),
    ],
)
def test_a_key_that_is_no_text_fails_the_task_and_not_the_call(
    bench: Bench, expression: str, message: str
) -> None:
    bench.put(step("work", retries=3, concurrency=(limited(expression),)))
    run_id, other = bench.trigger(request(b'{"n":2}'), request(b'{"n":2}'))
    assert bench.ready() == []
    assert bench.finished() == [(run_id, Status.FAILED), (other, Status.FAILED)]
    assert bench.status(run_id) is bench.task_status(run_id) is Status.FAILED
    error = f"failed to parse step expression ({expression}): {message}"
    assert (bench.error(run_id) or b"").decode().startswith(error)
    assert bench.message(run_id, TaskEventKind.FAILED).startswith(error)
    assert bench.task(run_id).due_at is None
    assert bench.tally() == bench.counts()


def test_a_key_fails_only_for_the_input_that_lacks_it(bench: Bench) -> None:
    bench.put(step("work", concurrency=(limited(),)))
    bad, good = bench.trigger(request(b"{}"), request())
    assert bench.task_status(bad) is Status.FAILED
    assert [task_id for task_id, _, _ in bench.ready()] == [good]


def test_a_root_without_key_fails_its_run_and_cancels_what_follows(bench: Bench) -> None:
    bench.put(step("a", concurrency=(limited(),)), step("b", "a"), on_failure())
    (run_id,) = bench.trigger(request(b"{}"))
    assert bench.statuses(run_id) == {
        "a": Status.FAILED,
        "b": Status.CANCELLED,
        "rescue": Status.QUEUED,
    }
    bench.run_to_end(bench.steps(run_id)["rescue"])
    assert bench.status(run_id) is Status.FAILED
    assert (bench.error(bench.steps(run_id)["a"]) or b"").startswith(b"failed to parse step")


def test_a_later_step_gets_its_keys_from_the_runs_input_when_it_is_created(bench: Bench) -> None:
    bench.put(step("a"), step("b", "a", concurrency=(limited(max_runs=2),)))
    (run_id,) = bench.trigger(request())
    assert claims(bench) == []
    bench.run_to_end(bench.steps(run_id)["a"])
    assert keys(bench) == [["ada"]]


def test_a_later_step_without_key_ends_its_run(bench: Bench) -> None:
    bench.put(step("a"), step("b", "a", concurrency=(limited(),)), step("c", "b"))
    (run_id,) = bench.trigger(request(b"{}"))
    bench.run_to_end(bench.steps(run_id)["a"])
    assert bench.statuses(run_id) == {
        "a": Status.COMPLETED,
        "b": Status.FAILED,
        "c": Status.CANCELLED,
    }
    assert bench.status(run_id) is Status.FAILED
    assert bench.finished() == [(run_id, Status.FAILED)]
    assert bench.tally() == bench.counts()


def test_retries_keep_the_key_and_the_arrival(bench: Bench) -> None:
    bench.put(step("work", retries=2, concurrency=(limited(),)))
    (run_id,) = bench.trigger(request(priority=2))
    before = claims(bench)
    bench.assign(run_id)
    bench.report(bench.failed(run_id))
    assert claims(bench) == before
    assert before[0].priority == 2


def test_a_retry_after_a_back_off_asks_again(bench: Bench) -> None:
    bench.put(step("work", retries=1, backoff_factor=2.0, concurrency=(limited(),)))
    (run_id,) = bench.trigger(request())
    bench.assign(run_id)
    bench.report(bench.failed(run_id))
    assert bench.ready() == []
    bench.expire(3)
    assert keys(bench) == [["ada"]]


def test_a_replay_arrives_anew(bench: Bench) -> None:
    bench.put(step("work", concurrency=(limited(),)))
    (run_id,) = bench.trigger(request())
    (first,) = claims(bench)
    bench.run_to_end(run_id)
    bench.replay(run_id)
    (second,) = claims(bench)
    assert second.chain == first.chain
    assert second.arrival > first.arrival


def test_a_replay_of_what_has_no_key_fails_again(bench: Bench) -> None:
    bench.put(step("work", concurrency=(limited(),)))
    (run_id,) = bench.trigger(request(b"{}"))
    assert bench.replay(run_id) == [run_id]
    assert bench.ready() == []
    task = bench.task(run_id)
    assert (Status(task.status), task.retry_count) == (Status.FAILED, 1)
    assert bench.status(run_id) is Status.FAILED
    assert bench.error(run_id, 1) == bench.error(run_id, 0)
    assert bench.tally() == bench.counts()


def test_losing_ones_place_is_a_cancellation_that_says_so(bench: Bench) -> None:
    bench.put(step("work", retries=3, concurrency=(limited(),)))
    waiting, running, over = bench.trigger(request(), request(), request())
    worker = bench.worker()
    bench.assign(running, over, worker_id=worker)
    bench.report(bench.completed(over))
    changes = changes_of(
        cancel_superseded({bench.tenant_id: [(waiting, 0), (running, 0), (over, 0)]}, {}, bench.now)
    )
    assert {(end.task_id, end.stop_on) for end in changes.ended} == {
        (waiting, None),
        (running, worker),
    }
    for run_id in (waiting, running):
        assert bench.status(run_id) is Status.CANCELLED
        message = bench.message(run_id, TaskEventKind.CANCELLED)
        assert message == "Cancelled due to concurrency strategy"
    assert bench.status(over) is Status.COMPLETED


def test_losing_a_place_cancels_what_follows_in_the_run(bench: Bench) -> None:
    bench.put(step("a", concurrency=(limited(),)), step("b", "a"))
    (run_id,) = bench.trigger(request())
    first = bench.steps(run_id)["a"]
    sync_db.run(cancel_superseded({bench.tenant_id: [(first, 0)]}, {}, bench.now))
    assert bench.statuses(run_id) == {"a": Status.CANCELLED, "b": Status.CANCELLED}
    assert bench.status(run_id) is Status.CANCELLED


def test_an_attempt_that_has_moved_on_is_not_cancelled(bench: Bench) -> None:
    bench.put(step("work", retries=1, concurrency=(limited(),)))
    (run_id,) = bench.trigger(request())
    bench.assign(run_id)
    bench.report(bench.failed(run_id))
    sync_db.run(cancel_superseded({bench.tenant_id: [(run_id, 0)]}, {}, bench.now))
    assert bench.task_status(run_id) is Status.QUEUED


def test_waiting_for_a_place_ends_with_the_schedule_timeout(bench: Bench) -> None:
    bench.put(step("work", schedule_timeout="5s", concurrency=(limited(),)))
    (run_id,) = bench.trigger(request())
    bench.expire(6)
    assert bench.status(run_id) is Status.CANCELLED
    assert "SCHEDULING_TIMED_OUT" in bench.kinds(run_id)


def test_who_moves_on_in_its_groups_has_its_whole_schedule_timeout_again(bench: Bench) -> None:
    bench.put(step("work", schedule_timeout="5s", concurrency=(limited(),)))
    waiting, running, cancelled = bench.trigger(*[request()] * 3)
    tasks = {task.id: task for task in queued(bench)}
    bench.assign(running)
    bench.cancel(cancelled)
    bench.pass_time(4)
    stale = tasks[waiting]._replace(retry_count=7)
    moved = [tasks[running], stale, tasks[cancelled], tasks[waiting]]
    assert sync_db.run(restart_clocks(moved, bench.now)) == [waiting]
    bench.expire(4)
    assert bench.task_status(waiting) is Status.QUEUED
    bench.expire(2)
    assert bench.status(waiting) is Status.CANCELLED
    assert "SCHEDULING_TIMED_OUT" in bench.kinds(waiting)


def test_a_new_owner_reads_who_waits_and_who_runs_with_their_groups(bench: Bench) -> None:
    bench.put(step("work", concurrency=(limited(),)))
    running, waiting = bench.trigger(request(), request())
    plain = bench.start(name="plain")
    bench.assign(running)
    snapshot = sync_db.run(load_snapshot(bench.tenant_id, bench.now, bench.now))
    in_groups = queued(bench)
    assert [task.id for task in in_groups] == [waiting]
    (first,), (second,) = (
        [each.task.claims for each in snapshot.running],
        [task.claims for task in in_groups],
    )
    assert first is not None
    assert second is not None
    assert first.chain == second.chain
    assert sync_db.run(load_queue_head(bench.tenant_id, "flow:work", 10)) == []
    assert Task.objects.get(id=plain).concurrency_keys is None


def test_who_waits_in_groups_is_read_by_the_time_of_queueing(bench: Bench) -> None:
    bench.put(step("work", retries=1, concurrency=(limited(),)))
    first, *others = bench.trigger(*[request()] * 5)
    bench.pass_time(60)
    bench.assign(first)
    bench.report(bench.failed(first))
    assert [(task.id, task.retry_count) for task in queued(bench)] == [
        *((each, 0) for each in others),
        (first, 1),
    ]
    since = QueuePlace(bench.now, UUID(int=0))
    (late,), rest = sync_db.run(load_in_groups(bench.tenant_id, since, 2))
    assert (late.id, rest) == (first, None)


def test_the_auditor_finds_who_is_neither_waiting_nor_running(bench: Bench) -> None:
    bench.put(step("work", retries=1, backoff_factor=2.0, concurrency=(limited(),)))
    running, waiting, over, delayed = bench.trigger(*[request()] * 4)
    bench.assign(running, over, delayed)
    bench.report(bench.completed(over), bench.failed(delayed))
    held: list[tuple[UUID, int]] = [(each, 0) for each in (running, waiting, over, delayed)]
    assert set(sync_db.run(_live(held))) == {running, waiting}


def _live(held: list[tuple[UUID, int]]) -> Operation[list[UUID]]:
    return (yield from fetch(queues.still_live(held)))
