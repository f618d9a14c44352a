"""Paused workflows: what is held, for how long, and what starts again."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from engine.domain.definition import StepDefinition
from engine.errors import NotFound
from engine.ids import new_id
from engine.models import Task
from engine.operations.expire_tasks import expire_tasks
from engine.operations.pause_workflows import (
    Pause,
    hold_tasks,
    pause_workflow,
    unpause_workflow,
)
from engine.operations.timetable.change_crons import create_cron
from engine.operations.timetable.change_schedules import schedule_runs
from engine.operations.timetable.fire_crons import fire_crons
from engine.operations.timetable.fire_schedules import fire_schedules
from engine.states import Status
from engine.store import schedules, sync_db
from engine.store.query import fetch
from engine.types import TriggerRequest
from tests.operations.flow import Flow

pytestmark = pytest.mark.django_db

STEP = StepDefinition("run", "flow:run", schedule_timeout="60s", schedule_timeout_seconds=60)
AFTER = StepDefinition("after", "flow:after", parents=("run",))


def pause(flow: Flow, ttl: float = 30, cron: str = "QUEUE", scheduled: str = "QUEUE") -> None:
    settings = Pause(cron, scheduled, ttl)
    sync_db.run(pause_workflow(flow.tenant_id, flow.version.workflow_id, settings, flow.now))


def unpause(flow: Flow) -> None:
    sync_db.run(unpause_workflow(flow.tenant_id, flow.version.workflow_id, flow.now))


def tick(flow: Flow, seconds: float = 0.0) -> None:
    """What the clock does: hold what came, act on what is due."""
    flow.now += timedelta(seconds=seconds)
    sync_db.run(hold_tasks([flow.tenant_id]))
    flow.do(expire_tasks([flow.tenant_id], flow.now))


def task_of(run_id: UUID) -> Task:
    return Task.objects.get(run_id=run_id, action_id="flow:run")


def test_what_waits_and_what_comes_is_held_until_the_pause_ends() -> None:
    flow = Flow(STEP)
    before = flow.trigger()
    pause(flow, ttl=1000)
    during = flow.trigger()
    tick(flow, 90)  # longer than the schedule timeout
    for run_id in (before, during):
        assert (task_of(run_id).is_held, flow.outcomes(run_id)["run"]) == (True, Status.QUEUED)
    unpause(flow)
    for run_id in (before, during):
        task = task_of(run_id)
        assert (task.is_held, task.is_delayed, task.queued_at) == (False, False, flow.now)
        assert task.due_at == flow.now + timedelta(seconds=60)
    tick(flow, 61)
    assert flow.finished == {before: Status.CANCELLED, during: Status.CANCELLED}


def test_a_task_is_held_for_its_time_to_live_from_its_creation() -> None:
    flow = Flow(STEP)
    run_id = flow.trigger()
    flow.now += timedelta(seconds=4)
    pause(flow, ttl=10)
    tick(flow, 5)
    assert not flow.finished
    tick(flow, 1.5)
    assert flow.finished == {run_id: Status.CANCELLED}
    unpause(flow)
    assert flow.details(run_id).status is Status.CANCELLED


def test_pausing_again_replaces_the_settings() -> None:
    flow = Flow(STEP)
    first = flow.trigger()
    pause(flow, ttl=10)
    pause(flow, ttl=100)
    tick(flow, 50)
    assert not flow.finished
    pause(flow, ttl=20)
    tick(flow)
    assert flow.finished == {first: Status.CANCELLED}


def test_what_runs_goes_on_and_its_children_are_held() -> None:
    flow = Flow(STEP, AFTER)
    run_id = flow.trigger()
    flow.start("run")
    pause(flow)
    tick(flow)
    flow.end("run")
    tick(flow)
    assert flow.outcomes(run_id) == {"run": Status.COMPLETED, "after": Status.QUEUED}
    assert Task.objects.get(run_id=run_id, action_id="flow:after").is_held
    unpause(flow)
    flow.run("after")
    assert flow.finished == {run_id: Status.COMPLETED}


def test_other_workflows_are_left_alone() -> None:
    flow, other = Flow(STEP), Flow(STEP)
    other_run = other.trigger()
    pause(flow)
    sync_db.run(hold_tasks([flow.tenant_id, other.tenant_id]))
    assert not task_of(other_run).is_held


def test_a_held_run_can_be_cancelled_and_replayed() -> None:
    flow = Flow(STEP)
    run_id = flow.trigger()
    pause(flow)
    flow.cancel(run_id)
    assert flow.finished == {run_id: Status.CANCELLED}
    unpause(flow)
    flow.replay(run_id)
    task = task_of(run_id)
    assert (task.is_held, task.is_delayed, task.status) == (False, False, Status.QUEUED)


@pytest.mark.parametrize(("behavior", "runs"), [("QUEUE", 1), ("DROP", 0)])
def test_crons_queue_their_runs_or_lose_their_times(behavior: str, runs: int) -> None:
    flow = Flow(STEP)
    request = TriggerRequest("flow")
    made = create_cron(
        flow.tenant_id, name="c", expression="* * * * *", request=request, now=flow.now
    )
    sync_db.run(made)
    pause(flow, cron=behavior)
    later = flow.now + timedelta(minutes=1)
    sync_db.run(fire_crons(later, flow.now))
    assert Task.objects.filter(tenant_id=flow.tenant_id).count() == runs
    unpause(flow)
    sync_db.run(fire_crons(later, flow.now))
    assert Task.objects.filter(tenant_id=flow.tenant_id).count() == runs


@pytest.mark.parametrize(("behavior", "runs"), [("QUEUE", 1), ("DROP", 0)])
def test_scheduled_runs_are_queued_or_wait_for_the_end_of_the_pause(
    behavior: str, runs: int
) -> None:
    flow = Flow(STEP)
    soon = flow.now + timedelta(seconds=5)
    sync_db.run(schedule_runs(flow.tenant_id, TriggerRequest("flow"), [soon], flow.now))
    pause(flow, scheduled=behavior)
    later = flow.now + timedelta(seconds=6)
    sync_db.run(fire_schedules(later))
    assert Task.objects.filter(tenant_id=flow.tenant_id).count() == runs
    (due,) = sync_db.run(fetch(schedules.next_due()))
    assert due is None or due > soon, "a schedule that waits would keep the engine busy"
    unpause(flow)
    sync_db.run(fire_schedules(later))
    assert Task.objects.filter(tenant_id=flow.tenant_id).count() == 1


def test_unknown_workflows_cannot_be_paused() -> None:
    flow = Flow(STEP)
    settings = Pause("QUEUE", "QUEUE", 1.0)
    with pytest.raises(NotFound):
        sync_db.run(pause_workflow(flow.tenant_id, new_id(), settings, flow.now))
    with pytest.raises(NotFound):
        sync_db.run(unpause_workflow(new_id(), flow.version.workflow_id, flow.now))
