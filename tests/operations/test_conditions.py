"""Steps that wait for sleeps and events, are skipped or cancelled, in the rows and in what workers get."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.domain.definition import StepCondition, StepDefinition
from engine.models import EndedWait, StepWait, Task, TaskEvent
from engine.operations.trigger_runs import trigger_runs
from engine.states import ConditionAction, ConditionKind, Status, Sticky, TaskEventKind
from engine.store import sync_db
from engine.store.hints import hints_of
from engine.types import DesiredLabel, ReportKind, TriggerRequest
from tests.changes import changing
from tests.operations.flow import Flow

pytestmark = pytest.mark.django_db

QUEUE, CANCEL, SKIP = ConditionAction.QUEUE, ConditionAction.CANCEL, ConditionAction.SKIP


def step(name: str, parents: str = "", *conditions: StepCondition) -> StepDefinition:
    return StepDefinition(
        name, f"flow:{name}", parents=tuple(parents.split()), conditions=conditions
    )


def sleep(seconds: int, action: ConditionAction = QUEUE, group: int = 0) -> StepCondition:
    text = f"{seconds}s"
    return StepCondition(
        ConditionKind.SLEEP, action, group, text, f"sleep:{text}", sleep_seconds=seconds
    )


def event(
    key: str, action: ConditionAction = QUEUE, group: int = 0, expression: str = ""
) -> StepCondition:
    return StepCondition(ConditionKind.EVENT, action, group, f"ns_{key}", key, expression)


def parent(name: str, action: ConditionAction, expression: str, group: int = 0) -> StepCondition:
    return StepCondition(ConditionKind.PARENT, action, group, name, name, expression)


def test_a_sleep_starts_when_the_parents_are_done_and_its_data_reaches_the_worker() -> None:
    flow = Flow(step("first"), step("later", "first", sleep(10)))
    run_id = flow.trigger()
    flow.sleep(60)
    flow.run("first", x=1)
    assert flow.outcomes(run_id) == {"first": Status.COMPLETED}
    assert flow.details(run_id).status is Status.RUNNING
    flow.sleep(9)
    assert not flow.queue
    flow.sleep(1.5)
    payload = flow.run("later")
    assert payload["triggers"] == {
        "sleep:10s": {"sleep_duration": "10s"},
        "filter_payload": None,
    }
    assert payload["parents"] == {"first": {"x": 1}}
    assert flow.finished == {run_id: Status.COMPLETED}
    assert not StepWait.objects.filter(satisfied_at=None).exists()


def test_an_event_counts_from_when_the_parents_are_done() -> None:
    flow = Flow(step("first"), step("later", "first", event("go")))
    run_id = flow.trigger()
    flow.push("ns_go", n=1)
    flow.run("first")
    assert not flow.queue
    flow.push("ns_other", n=2)
    assert not flow.queue
    flow.push("ns_go", "ns_go", n=3)
    flow.push("ns_go", n=4)
    assert flow.run("later")["triggers"] == {"go": {"n": 3}, "filter_payload": None}
    assert flow.finished == {run_id: Status.COMPLETED}


@pytest.mark.parametrize("steps", [1, 2])
def test_a_first_step_waits_from_the_start(steps: int) -> None:
    """One step makes a standalone run, whose task has the run's id; two make a DAG."""
    first = step("first", "", event("go", expression="input.n > 2"))
    flow = Flow(*[first, step("second", "first")][:steps])
    run_id = flow.trigger()
    assert not flow.queue
    assert flow.details(run_id).status is Status.QUEUED
    assert flow.outcomes(run_id) == {}
    flow.push("ns_go", n=2)
    assert not flow.queue
    flow.push("ns_go", n=3)
    assert flow.run("first")["triggers"]["go"] == {"n": 3}
    if steps == 2:
        flow.run("second")
    assert flow.finished == {run_id: Status.COMPLETED}
    assert (Task.objects.get(run_id=run_id, action_id="flow:first").id == run_id) == (steps == 1)


def test_events_of_another_tenant_do_not_count() -> None:
    flow = Flow(step("only", "", event("go")))
    run_id = flow.trigger()
    Flow(step("only")).push("ns_go")
    assert StepWait.objects.get(run_id=run_id).satisfied_at is None
    assert not flow.queue
    flow.push("ns_go")
    assert set(flow.queue) == {"only"}


def test_the_first_event_that_fits_counts() -> None:
    flow = Flow(step("only", "", event("go"), sleep(20, group=1)))
    flow.trigger()
    flow.push("ns_go", n=1)
    flow.push("ns_go", n=2)
    flow.sleep(21)
    assert flow.run("only")["triggers"]["go"] == {"n": 1}


def test_an_event_does_not_satisfy_a_run_it_started_itself() -> None:
    flow = Flow(step("first", "", event("go")))
    flow.version = flow.put(replace(flow.version.definition, event_triggers=("ns_go",)))
    flow.push("ns_go", n=1)
    assert not flow.queue
    flow.push("ns_go", n=2)
    assert flow.start("first")["triggers"]["go"] == {"n": 2}


@pytest.mark.parametrize(
    ("action", "status", "output"),
    [(SKIP, Status.COMPLETED, b'{"skipped":true}'), (CANCEL, Status.CANCELLED, None)],
)
def test_a_standalone_task_is_skipped_or_cancelled(
    action: ConditionAction, status: Status, output: bytes | None
) -> None:
    flow = Flow(step("only", "", event("go", group=0), sleep(5, action, group=1)))
    run_id = flow.trigger()
    flow.sleep(5)
    assert flow.finished == {run_id: status}
    (task,) = flow.details(run_id).tasks
    assert (task.status, task.output) == (status, output)
    assert flow.details(run_id).status is status
    flow.push("ns_go")
    assert not flow.queue
    assert not StepWait.objects.filter(satisfied_at=None).exists()


def test_branches_by_a_parents_output() -> None:
    flow = Flow(
        step("toss"),
        step("left", "toss", parent("toss", SKIP, "output.n > 50")),
        step("right", "toss", parent("toss", SKIP, "output.n <= 50")),
        step("after_left", "left"),
        step("sum", "left right"),
    )
    run_id = flow.trigger()
    flow.run("toss", n=51)
    assert set(flow.queue) == {"right"}
    flow.run("right", way="right")
    assert flow.run("sum")["parents"] == {
        "toss": {"n": 51},
        "left": {"skipped": True},
        "right": {"way": "right"},
        "after_left": {"skipped": True},
    }
    assert flow.finished == {run_id: Status.COMPLETED}


def test_a_skip_does_not_wait_for_the_other_parents() -> None:
    flow = Flow(
        step("fast"), step("slow"), step("both", "fast slow", parent("fast", SKIP, "output.skip"))
    )
    run_id = flow.trigger()
    flow.run("fast", skip=True)
    assert flow.outcomes(run_id)["both"] is Status.COMPLETED


def test_alternatives_of_a_parent_and_a_sleep_count_across_both_phases() -> None:
    conditions = parent("first", QUEUE, "output.fast"), sleep(30)
    flow = Flow(step("first"), step("later", "first", *conditions))
    flow.trigger()
    flow.run("first", fast=True)
    assert set(flow.queue) == {"later"}
    flow.queue.clear()
    flow.trigger()
    flow.run("first", fast=False)
    assert not flow.queue
    flow.sleep(30)
    assert set(flow.queue) == {"later"}


def test_cancelling_a_run_ends_its_waits() -> None:
    flow = Flow(
        step("first"), step("later", "first", event("go", CANCEL), sleep(9)), step("last", "later")
    )
    run_id = flow.trigger()
    flow.run("first")
    flow.cancel(run_id)
    assert flow.finished == {run_id: Status.CANCELLED}
    assert flow.outcomes(run_id) == {
        "first": Status.COMPLETED,
        "later": Status.CANCELLED,
        "last": Status.CANCELLED,
    }
    assert not StepWait.objects.exists()


def test_a_waiting_standalone_run_can_be_cancelled() -> None:
    flow = Flow(step("only", "", sleep(9)))
    run_id = flow.trigger()
    flow.cancel(run_id)
    assert flow.finished == {run_id: Status.CANCELLED}
    flow.sleep(20)
    assert not flow.queue


def test_a_cancel_condition_cancels_the_steps_below_too() -> None:
    flow = Flow(
        step("first"),
        step("later", "first", sleep(60), event("stop", CANCEL, group=1)),
        step("last", "later"),
    )
    run_id = flow.trigger()
    flow.run("first")
    flow.push("ns_stop")
    assert flow.finished == {run_id: Status.CANCELLED}
    assert flow.outcomes(run_id)["last"] is Status.CANCELLED


@pytest.mark.parametrize(
    "ended_by", ["parent", "event", "sleep", "either by event", "either by sleep"]
)
def test_every_kind_of_cancel_condition_ends_the_run_cancelled(ended_by: str) -> None:
    of_parent = parent("first", CANCEL, "output.stop", group=1)
    either = [sleep(20, CANCEL, group=1), event("stop", CANCEL, group=1)]
    conditions = {
        "parent": [of_parent],
        "event": [event("stop", CANCEL, group=1)],
        "sleep": [sleep(20, CANCEL, group=1)],
    }.get(ended_by, either)
    flow = Flow(step("first"), step("later", "first", sleep(60), *conditions))
    run_id = flow.trigger()
    flow.run("first", stop=ended_by == "parent")
    if ended_by.endswith("event"):
        flow.push("ns_stop")
    elif ended_by.endswith("sleep"):
        flow.sleep(21)
    assert flow.finished == {run_id: Status.CANCELLED}
    assert flow.outcomes(run_id) == {"first": Status.COMPLETED, "later": Status.CANCELLED}
    flow.sleep(60)
    assert not flow.queue


@pytest.mark.parametrize(
    ("action", "outcome"), [(SKIP, Status.COMPLETED), (CANCEL, Status.CANCELLED)]
)
def test_groups_of_one_action_must_all_be_met(action: ConditionAction, outcome: Status) -> None:
    """Two conditions beside each other mean both; alternatives share a group."""
    both = event("one", action, group=1), event("two", action, group=2)
    flow = Flow(step("only", "", sleep(60), *both))
    run_id = flow.trigger()
    flow.push("ns_one")
    assert not flow.finished
    flow.push("ns_two")
    assert flow.finished == {run_id: outcome}
    assert not flow.queue


def test_a_step_cancelled_by_its_condition_runs_with_its_input_once_a_replay_decides_otherwise() -> (
    None
):
    cancelled = parent("first", CANCEL, "output.stop", group=1)
    flow = Flow(step("first"), step("later", "first", cancelled))
    run_id = flow.trigger(b'{"n":1}')
    flow.run("first", stop=True)
    assert flow.finished == {run_id: Status.CANCELLED}
    flow.replay(run_id)
    flow.run("first", stop=False)
    payload = flow.run("later")
    assert (payload["input"], payload["parents"]) == ({"n": 1}, {"first": {"stop": False}})
    assert flow.finished == {run_id: Status.COMPLETED}


def test_the_failure_of_a_parent_cancels_a_step_that_waits_already() -> None:
    either = parent("one", QUEUE, ""), parent("two", QUEUE, ""), sleep(60, group=1)
    flow = Flow(step("one"), step("two"), step("later", "one two", *either))
    run_id = flow.trigger()
    flow.run("one")
    assert StepWait.objects.filter(run_id=run_id).count() == 1
    flow.start("two")
    flow.end("two", ReportKind.FAILED)
    assert flow.finished == {run_id: Status.FAILED}
    assert flow.outcomes(run_id)["later"] is Status.CANCELLED
    assert not StepWait.objects.exists()


def test_a_replayed_parent_makes_the_step_wait_anew() -> None:
    flow = Flow(step("first"), step("later", "first", event("go")))
    run_id = flow.trigger()
    flow.run("first")
    flow.push("ns_go", n=1)
    flow.run("later")
    flow.replay(run_id)
    flow.push("ns_go", n=2)
    flow.run("first")
    assert not flow.queue
    assert flow.details(run_id).status is Status.RUNNING
    flow.push("ns_go", n=3)
    assert flow.run("later")["triggers"]["go"] == {"n": 3}
    assert flow.finished == {run_id: Status.COMPLETED}


def test_an_event_is_known_by_the_waits_of_steps_it_ended() -> None:
    flow = Flow(step("first"), step("later", "first", event("go"), sleep(60, group=1)))
    run_id = flow.trigger()
    flow.run("first")
    flow.push("ns_other")
    (ended_it,) = flow.push("ns_go", n=1)
    flow.push("ns_go", n=2)
    (wait,) = EndedWait.objects.filter(tenant_id=flow.tenant_id)
    assert (wait.event_id, wait.run_id, wait.node_id) == (ended_it.event_id, run_id, None)
    flow.sleep(61)
    assert EndedWait.objects.filter(tenant_id=flow.tenant_id).count() == 1, "a sleep is no event"


def test_the_log_says_why_a_step_did_not_run() -> None:
    flow = Flow(step("first"), step("later", "first"), step("last", "later"))
    run_id = flow.trigger()
    flow.start("first")
    flow.end("first", ReportKind.FAILED)
    said = TaskEvent.objects.filter(run_id=run_id, kind=TaskEventKind.CANCELLED).order_by("id")
    assert list(said.values_list("message", flat=True)) == [
        "The step first, which it follows, failed.",
        "The step later, which it follows, was cancelled.",
    ]


def test_a_step_replayed_alone_runs_at_once_and_keeps_what_it_was_told() -> None:
    flow = Flow(step("first"), step("later", "first", event("go")))
    run_id = flow.trigger()
    flow.run("first")
    flow.push("ns_go", n=1)
    flow.run("later")
    (task,) = Task.objects.filter(run_id=run_id, action_id="flow:later")
    flow.replay(task.id)
    assert flow.run("later")["triggers"]["go"] == {"n": 1}


def test_sleeps_are_hinted_to_the_engine_that_keeps_the_time() -> None:
    flow = Flow(step("only", "", sleep(9)))
    _, changes = changing(trigger_runs(flow.tenant_id, [TriggerRequest("flow")], flow.now))
    (hint,) = hints_of(changes)
    assert hint.sleeps


@pytest.mark.parametrize("steps", [1, 2])
def test_a_step_that_waited_keeps_the_workers_its_run_asked_for(steps: int) -> None:
    first = step("first", "", event("go"))
    flow = Flow(*[first, step("second", "first")][:steps])
    flow.version = flow.put(replace(flow.version.definition, sticky=Sticky.HARD))
    labels = (DesiredLabel("zone", "eu"),)
    request = TriggerRequest("flow", desired_worker_id=flow.worker_id, desired_labels=labels)
    sync_db.run(trigger_runs(flow.tenant_id, [request], flow.now))
    flow.push("ns_go")
    placement = flow.queue["first"].placement
    assert placement is not None
    assert (placement.worker_id, placement.is_bound, placement.labels) == (
        flow.worker_id,
        True,
        labels,
    )
