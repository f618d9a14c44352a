"""Registering a definition: the same one is the same version, another is a new one."""

from __future__ import annotations

from engine.models import EventTrigger, Step, Workflow, WorkflowVersion
from engine.operations.put_workflow import delete_workflow
from engine.store import sync_db
from tests.operations.bench import Bench, step


def patterns(bench: Bench) -> list[str]:
    rows = EventTrigger.objects.filter(tenant_id=bench.tenant_id)
    return sorted(rows.values_list("pattern", flat=True))


def test_the_same_definition_is_the_same_version(bench: Bench) -> None:
    first = bench.put(step("a"), step("b", "a"), event_triggers=("x",))
    again = bench.put(step("a"), step("b", "a"), event_triggers=("x",))
    assert again[:2] == first[:2]
    assert first.is_new and not again.is_new
    assert WorkflowVersion.objects.filter(workflow_id=first.workflow_id).count() == 1


def test_a_changed_definition_is_the_next_version_of_the_same_workflow(bench: Bench) -> None:
    first = bench.put(step("a"))
    second = bench.put(step("a", retries=1))
    assert second.workflow_id == first.workflow_id
    assert second.version_id != first.version_id
    versions = WorkflowVersion.objects.filter(workflow_id=first.workflow_id).order_by("order")
    assert [version.order for version in versions] == [1, 2]


def test_going_back_to_an_older_definition_is_a_new_version(bench: Bench) -> None:
    first = bench.put(step("a"))
    bench.put(step("a", retries=1))
    back = bench.put(step("a"))
    assert back.is_new and back.version_id != first.version_id


def test_steps_are_stored_in_their_order(bench: Bench) -> None:
    put = bench.put(step("a"), step("b", "a"))
    rows = Step.objects.filter(version_id=put.version_id).order_by("ordinal")
    assert [row.readable_id for row in rows] == ["a", "b"]


def test_only_the_triggers_of_the_latest_version_live(bench: Bench) -> None:
    bench.put(step("a"), event_triggers=("one", "two:*"))
    bench.put(step("a"), event_triggers=("two:*", "three"))
    assert patterns(bench) == ["three", "two:*"]
    bench.put(step("a"))
    assert patterns(bench) == []


def test_runs_that_exist_keep_their_version(bench: Bench) -> None:
    run_id = bench.start(step("work"))
    bench.put(step("work", execution_timeout="1s", execution_timeout_seconds=1.0))
    bench.assign(run_id)
    bench.expire(after_seconds=30)
    assert bench.kinds(run_id) == ["QUEUED", "ASSIGNED"]


def test_deleting_frees_the_name_and_stops_triggers(bench: Bench) -> None:
    first = bench.put(step("a"), event_triggers=("x",))
    assert sync_db.run(delete_workflow(bench.tenant_id, first.workflow_id, bench.now))
    assert patterns(bench) == []
    again = bench.put(step("a"), event_triggers=("x",))
    assert again.workflow_id != first.workflow_id
    assert Workflow.objects.filter(tenant_id=bench.tenant_id, name="flow").count() == 2


def test_deleting_twice_or_a_strangers_workflow_does_nothing(bench: Bench) -> None:
    put = bench.put(step("a"))
    assert not sync_db.run(delete_workflow(Bench().tenant_id, put.workflow_id, bench.now))
    assert sync_db.run(delete_workflow(bench.tenant_id, put.workflow_id, bench.now))
    assert not sync_db.run(delete_workflow(bench.tenant_id, put.workflow_id, bench.now))


def test_another_tenant_has_its_own_workflow_of_that_name(bench: Bench) -> None:
    assert bench.put(step("a")).workflow_id != Bench().put(step("a")).workflow_id
