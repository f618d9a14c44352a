"""Starting runs: ids in order, first tasks queued, priorities and names as asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from engine.errors import InvalidArgument
from engine.models import Payload, Run, Task
from engine.operations.parts.plan_runs import plan_new_run, resolve_names
from engine.operations.put_workflow import delete_workflow
from engine.operations.trigger_runs import insert_runs
from engine.states import PayloadKind, Status
from engine.store import sync_db
from engine.types import TriggerRequest
from tests.changes import changing
from tests.operations.bench import Bench, on_failure, step
from tests.operations.placed import placed


def test_a_standalone_run_has_one_task_with_its_own_id(bench: Bench) -> None:
    run_id = bench.start()
    task = bench.task(run_id)
    assert (task.run_id, task.status, task.retry_count) == (run_id, Status.QUEUED, 0)
    assert task.due_at == bench.now + timedelta(seconds=300)
    assert not bench.run(run_id).is_dag
    assert bench.status(run_id) is Status.QUEUED
    assert bench.events(run_id) == [(1, 0)]
    assert bench.ready() == [(run_id, 0, 1)]


def test_a_dag_run_starts_with_its_roots_only(bench: Bench) -> None:
    run_id = bench.start(step("a"), step("b"), step("c", "a", "b"))
    assert bench.statuses(run_id) == {"a": Status.QUEUED, "b": Status.QUEUED}
    assert run_id not in bench.steps(run_id).values()
    assert bench.run(run_id).is_dag
    assert len(bench.ready()) == 2


def test_an_on_failure_task_makes_one_task_a_dag(bench: Bench) -> None:
    run_id = bench.start(step("work"), on_failure())
    assert bench.run(run_id).is_dag
    assert list(bench.steps(run_id)) == ["work"]


def test_ids_come_in_request_order(bench: Bench) -> None:
    bench.put(name="one")
    bench.put(step("a"), step("b"), name="two")
    names = ["two", "one", "one", "two", "one"]
    ids = bench.trigger(*[TriggerRequest(name, b'{"i":%d}' % i) for i, name in enumerate(names)])
    assert len(set(ids)) == 5
    inputs = [
        bytes(Payload.objects.get(owner_id=run_id, kind=PayloadKind.INPUT).data) for run_id in ids
    ]
    assert inputs == [b'{"i":%d}' % i for i in range(5)]
    assert [bench.run(run_id).is_dag for run_id in ids] == [name == "two" for name in names]


@pytest.mark.parametrize(
    ("asked", "default", "expected"),
    [(None, None, 1), (None, 2, 2), (3, 2, 3), (1, 3, 1)],
)
def test_priority_is_the_requests_or_the_workflows_or_one(
    bench: Bench, asked: int | None, default: int | None, expected: int
) -> None:
    bench.put(step("a"), step("b", "a"), default_priority=default)
    (run_id,) = bench.trigger(TriggerRequest("flow", priority=asked))
    assert bench.run(run_id).priority == expected
    steps = bench.steps(run_id)
    assert bench.task(steps["a"]).queue_priority == expected
    bench.run_to_end(steps["a"])
    assert bench.task(bench.steps(run_id)["b"]).queue_priority == expected


def test_unknown_names_are_listed_and_nothing_starts(bench: Bench) -> None:
    bench.put()
    wanted = [TriggerRequest(name) for name in ("zebra", "flow", "ape", "zebra")]
    with pytest.raises(InvalidArgument, match=r"^workflow names not found: ape, zebra$"):
        bench.trigger(*wanted)
    assert not Run.objects.filter(tenant_id=bench.tenant_id).exists()


def test_names_of_other_tenants_and_deleted_ones_are_unknown(bench: Bench) -> None:
    put = bench.put()
    with pytest.raises(InvalidArgument):
        Bench().trigger()
    sync_db.run(delete_workflow(bench.tenant_id, put.workflow_id, bench.now))
    with pytest.raises(InvalidArgument):
        bench.trigger()


def test_metadata_and_input_are_kept_as_given(bench: Bench) -> None:
    bench.put()
    metadata = b'{"user":"\xc3\xa4","n":1}'
    (run_id,) = bench.trigger(TriggerRequest("flow", b'{"x": 1e2}', metadata))
    assert bench.run(run_id).additional_metadata == {"user": "ä", "n": 1}
    (action,) = bench.assign(run_id)
    assert action.payload.startswith(b'{"input":{"x": 1e2},')
    assert action.additional_metadata is not None


def test_a_child_index_without_a_parent_is_ignored(bench: Bench) -> None:
    bench.put()
    first, second = bench.trigger(*[TriggerRequest("flow", child_index=0)] * 2)
    assert first != second
    assert bench.run(first).child_index is None


def test_runs_start_only_if_the_callers_transaction_commits(bench: Bench) -> None:
    bench.put()

    class ChangeOfMind(Exception):
        pass

    def enqueue_and_fail() -> None:
        with transaction.atomic():
            bench.trigger()
            assert Run.objects.filter(tenant_id=bench.tenant_id).exists()
            raise ChangeOfMind

    with pytest.raises(ChangeOfMind):
        enqueue_and_fail()
    assert not Run.objects.filter(tenant_id=bench.tenant_id).exists()
    assert not Task.objects.filter(tenant_id=bench.tenant_id).exists()
    with transaction.atomic():
        bench.trigger()
    assert Run.objects.filter(tenant_id=bench.tenant_id).count() == 1


SAME_COLUMNS = [
    "status",
    "queue_priority",
    "retry_count",
    "app_retry_count",
    "internal_retry_count",
    "worker_id",
    "is_delayed",
    "is_slot_released",
    "is_skipped",
    "created_at",
    "queued_at",
    "assigned_at",
    "started_at",
    "finished_at",
    "due_at",
]
SAME_RUN_COLUMNS = [
    "status",
    "priority",
    "trigger",
    "additional_metadata",
    "parent_run_id",
    "parent_task_id",
    "child_index",
    "child_key",
    "event_id",
    "event_key",
    "created_at",
    "started_at",
    "finished_at",
]


@pytest.mark.parametrize("is_assigned", [False, True])
def test_both_ways_of_inserting_write_the_same_rows(bench: Bench, is_assigned: bool) -> None:
    """Standalone runs have a statement of their own; DAG runs go through the general ones."""
    bench.put(step("work"), name="one")
    bench.put(step("work"), step("more", "work"), name="two")
    versions = sync_db.run(resolve_names(bench.tenant_id, ["one", "two"]))
    request = TriggerRequest("any", b'{"a":1}', b'{"k":"v"}', priority=2)
    alone, dag = (plan_new_run(request, versions[name]) for name in ("one", "two"))
    worker_id = bench.worker()
    worker_of = {item.tasks[0].id: worker_id for item in (alone, dag)} if is_assigned else {}
    _, bench.changes = changing(placed(insert_runs([alone, dag], bench.now), worker_of))
    tasks = [Task.objects.values(*SAME_COLUMNS).get(id=i.tasks[0].id) for i in (alone, dag)]
    runs = [Run.objects.values(*SAME_RUN_COLUMNS).get(id=i.run.id) for i in (alone, dag)]
    assert tasks[0] == tasks[1]
    assert runs[0] == runs[1]
    assert bench.kinds(alone.tasks[0].id) == bench.kinds(dag.tasks[0].id)
    assert len(bench.ready()) == (0 if is_assigned else 2)
