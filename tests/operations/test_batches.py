"""Batches as rows: assigned together or not at all, reported by membership, lost item by item."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import orjson
import psycopg
import pytest
from django.db import transaction
from django.db.utils import Error as DatabaseError

from engine.domain.assignment import ReadyTask
from engine.domain.definition import Batch
from engine.ids import new_id
from engine.models import Lease, Task
from engine.operations.assign_tasks import assign_tasks
from engine.operations.expire_tasks import requeue_lost
from engine.operations.parts.start_batches import MadeBatch
from engine.states import FlushReason, Status, TaskEventKind
from engine.store import sync_db
from engine.types import Action, ActionKind, TriggerRequest
from tests.changes import changes_of
from tests.operations.bench import Bench, step


def items(bench: Bench, count: int, **options: object) -> list[ReadyTask]:
    """Trigger runs of a step that runs in batches; return their tasks as a scheduler sees them."""
    bench.put(step("work", batch=Batch(count), **options))
    bench.trigger(*[TriggerRequest("flow")] * count)
    return [task for _, task in bench.changes.ready]


def assign(
    bench: Bench, tasks: list[ReadyTask], epoch: int | None = None
) -> tuple[UUID, list[Action]]:
    made = MadeBatch(new_id(), "", FlushReason.SIZE, tasks)
    worker_id = bench.worker()
    epochs = {} if epoch is None else {bench.tenant_id: epoch}
    decisions = [(task, worker_id) for task in tasks]
    actions = sync_db.run(assign_tasks(decisions, epochs, bench.now, [made]))
    return made.id, [action for _, action in actions]


def test_the_batch_is_one_action_and_on_every_row(bench: Bench) -> None:
    tasks = items(bench, 3)
    batch_id, (action,) = assign(bench, tasks[::-1])
    assert (action.kind, action.task_id) == (ActionKind.START_BATCH, batch_id)
    assert [item.task_id for item in action.items] == [task.id for task in tasks[::-1]]
    assert list(orjson.loads(action.payload)) == [str(task.id) for task in tasks[::-1]]
    for task in tasks:
        assert bench.task(task.id).batch_id == batch_id
        assert bench.kinds(task.id) == ["QUEUED", "ASSIGNED", "BATCH_FLUSHED"]
        text = bench.message(task.id, TaskEventKind.BATCH_FLUSHED)
        assert text == f"One of 3 tasks in batch {batch_id}, made for size."


def test_an_item_that_is_gone_is_left_out(bench: Bench) -> None:
    first, gone, third = items(bench, 3)
    bench.cancel(gone.id)
    _, (action,) = assign(bench, [first, gone, third])
    assert [item.task_id for item in action.items] == [first.id, third.id]
    assert bench.task(gone.id).batch_id is None


def test_nothing_is_sent_if_nobody_is_left(bench: Bench) -> None:
    tasks = items(bench, 2)
    bench.cancel(*(task.id for task in tasks))
    _, actions = assign(bench, tasks)
    assert actions == []


def test_a_scheduler_that_lost_its_lease_assigns_no_item(bench: Bench) -> None:
    tasks = items(bench, 2)
    Lease.objects.update_or_create(tenant_id=bench.tenant_id, defaults={"epoch": 7})
    with (
        pytest.raises((DatabaseError, psycopg.Error)),
        transaction.atomic(),
    ):
        assign(bench, tasks, epoch=6)
    assert {bench.task_status(task.id) for task in tasks} == {Status.QUEUED}
    assert not Task.objects.filter(tenant_id=bench.tenant_id, batch_id__isnull=False).exists()


def test_the_batch_tells_the_attempt_whatever_the_worker_believes(bench: Bench) -> None:
    first, second = items(bench, 2, retries=1)
    old, _ = assign(bench, [first, second])
    bench.report(bench.failed(first.id, batch_id=old))
    ((_, again),) = bench.changes.ready
    assert again.retry_count == 1
    new, _ = assign(bench, [again])
    unknown = bench.report(
        bench.completed(first.id, batch_id=old), bench.failed(first.id, batch_id=old)
    )
    assert (unknown, bench.changes.ended) == (set(), [])
    bench.report(bench.completed(first.id, batch_id=new, retry_count=0))
    assert bench.task_status(first.id) is Status.COMPLETED
    assert bench.task_status(second.id) is Status.RUNNING


def test_a_report_without_a_batch_means_the_current_attempt(bench: Bench) -> None:
    (task,) = items(bench, 1)
    assign(bench, [task])
    bench.report(bench.completed(task.id))
    assert bench.task_status(task.id) is Status.COMPLETED


def test_the_items_of_a_silent_worker_wait_again_each_for_itself(bench: Bench) -> None:
    tasks = items(bench, 2)
    batch_id, _ = assign(bench, tasks)
    bench.report(*(bench.started(task.id, batch_id=batch_id) for task in tasks))
    worker_id = bench.task(tasks[0].id).worker_id
    assert worker_id
    bench.pass_time(31.0)
    since = bench.now - timedelta(seconds=30)
    bench.changes = changes_of(requeue_lost([worker_id], since, bench.now))
    assert bench.ready() == [(task.id, 1, 4) for task in tasks]
    places = {task.claims.batch for _, task in bench.changes.ready if task.claims}
    assert len(places) == 1
    assert None not in places


def test_a_buffered_item_is_cancelled_by_its_schedule_timeout(bench: Bench) -> None:
    (task,) = items(bench, 1, schedule_timeout="1m", schedule_timeout_seconds=60)
    bench.expire(after_seconds=61.0)
    assert bench.task_status(task.id) is Status.CANCELLED


def test_a_key_that_is_no_text_fails_a_step_of_a_dag_and_its_run(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b", "a", batch=Batch(2, group_key="1")))
    bench.run_to_end(bench.steps(run_id)["a"])
    failed = bench.steps(run_id)["b"]
    assert bench.error(failed) == (
        b"failed to parse batch group key expression (1): "
        b"expected string output for batch key, got int"
    )
    assert bench.status(run_id) is Status.FAILED


def test_a_replayed_task_gets_its_key_anew(bench: Bench) -> None:
    (task,) = items(bench, 1, retries=0)
    batch_id, _ = assign(bench, [task])
    bench.report(bench.failed(task.id, batch_id=batch_id))
    bench.replay(task.id)
    ((_, again),) = bench.changes.ready
    assert again.claims is not None
    assert task.claims is not None
    assert again.claims.batch == task.claims.batch
    assert again.claims.arrival > task.claims.arrival


def test_outputs_of_parents_count_as_bytes_of_an_item(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b", "a", batch=Batch(2)))
    output = b'{"data":"%s"}' % (b"x" * 5000)
    bench.run_to_end(bench.steps(run_id)["a"], output=output)
    ((_, task),) = bench.changes.ready
    assert task.claims is not None
    assert task.claims.batch is not None
    assert 5000 < task.claims.batch.size < 5600


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (b'"%s"' % (b"x" * 10_001), b"the batch key is longer than 10000 characters"),
        (b'{"a":1}', b"expected string output for batch key, got map"),
        (b"null", b"expected string output for batch key, got null"),
        (b"7", b"expected string output for batch key, got "),
    ],
)
def test_a_key_nobody_can_use_fails_its_task_with_a_reason(
    key: bytes, problem: bytes, bench: Bench
) -> None:
    bench.put(step("work", batch=Batch(2, group_key="input.key")))
    bad, blank, good = bench.trigger(
        TriggerRequest("flow", b'{"key":%s}' % key),
        TriggerRequest("flow", b'{"key":"  "}'),
        TriggerRequest("flow", b'{"key":"%s"}' % (b"x" * 10_000)),
    )
    error = bench.error(bad) or b""
    assert error.startswith(b"failed to parse batch group key expression (input.key): " + problem)
    assert bench.status(bad) is Status.FAILED
    waiting = {task.id: task.claims for _, task in bench.changes.ready}
    keys = {
        task_id: claims.batch.group.key
        for task_id, claims in waiting.items()
        if claims and claims.batch
    }
    assert keys == {blank: "", good: "x" * 10_000}


def test_a_batch_that_outgrew_one_message_goes_in_parts(bench: Bench) -> None:
    """Outputs of other tasks of the runs count, and may come after the items began to wait."""
    bench.put(step("grow"), step("together", batch=Batch(3)))
    runs = bench.trigger(*[TriggerRequest("flow")] * 3)
    waiting = [task for _, task in bench.changes.ready if task.claims and task.claims.batch]
    output = b'{"data":"%s"}' % (b"x" * 1_900_000)
    for run_id in runs:
        bench.run_to_end(bench.steps(run_id)["grow"], output=output)
    first_id, (first, second) = assign(bench, waiting)
    assert [len(action.items) for action in (first, second)] == [2, 1]
    assert max(len(action.payload) for action in (first, second)) < 4_000_000
    assert first.task_id == first_id != second.task_id
    for action in (first, second):
        for item in action.items:
            assert bench.task(item.task_id).batch_id == action.task_id
            bench.report(bench.completed(item.task_id, batch_id=action.task_id))
            assert bench.status(item.run_id) is Status.COMPLETED


def test_small_items_of_a_full_batch_stay_together(bench: Bench) -> None:
    """What the scheduler lets pass as one message is one, however little each item brings."""
    count = 2_000
    tasks = items(bench, count)
    _, (action,) = assign(bench, tasks)
    places = [task.claims.batch for task in tasks if task.claims]
    known = sum(place.size for place in places if place)
    assert len(action.payload) < known
