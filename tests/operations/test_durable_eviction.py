"""An evicted task gives its worker's slot back, and is queued again as soon as it can go on."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.domain.durable.calls import Completion, Node
from engine.models import TaskEvent
from engine.operations.assign_tasks import load_cancels
from engine.operations.durable.evict_tasks import Evicted, Eviction, evict_tasks
from engine.operations.durable.read_logs import load_openings
from engine.operations.expire_tasks import expire_tasks
from engine.states import RETRY_QUEUE_PRIORITY, Status, TaskEventKind
from engine.store import sync_db
from tests.changes import changing
from tests.operations.durable import DURABLE, DurableFlow, child, event, sleep


def messages(flow: DurableFlow, kind: TaskEventKind) -> list[str]:
    found = TaskEvent.objects.filter(task_id=flow.task_id, kind=int(kind)).order_by("id")
    return [row.message for row in found]


def is_queued(flow: DurableFlow) -> bool:
    return "work" in flow.queue


def test_an_evicted_task_runs_on_without_worker_or_deadline(flow: DurableFlow) -> None:
    flow.wait(sleep("1h"))
    assert flow.evict() is Evicted.EVICTED
    task = flow.task
    assert (task.status, task.is_evicted, task.worker_id, task.due_at) == (1, True, None, None)
    assert flow.changes.evicted == [(flow.tenant_id, flow.task_id, 0)]
    assert messages(flow, TaskEventKind.DURABLE_EVICTED) == ["waits"]
    assert not is_queued(flow)
    assert sync_db.run(expire_tasks([flow.tenant_id], flow.now)) == 0


def test_a_completed_entry_restores_the_task_in_the_same_attempt(flow: DurableFlow) -> None:
    flow.wait(sleep("10s"))
    flow.evict()
    flow.pass_time(11)
    ready = flow.queue["work"]
    assert (ready.retry_count, ready.priority, ready.is_restored) == (0, RETRY_QUEUE_PRIORITY, True)
    task = flow.task
    assert (task.status, task.is_evicted, task.retry_count) == (Status.QUEUED, True, 0)
    assert messages(flow, TaskEventKind.DURABLE_RESTORING) == [
        "Restoring evicted task: a sleep is over"
    ]
    flow.assign()
    task = flow.task
    assert (task.status, task.is_evicted, flow.invocation) == (Status.RUNNING, False, 2)


@pytest.mark.parametrize("what", ["event", "child"])
def test_events_and_children_restore_too(flow: DurableFlow, what: str) -> None:
    flow.wait(event("paid"))
    flow.spawn(child(child_index=0))
    flow.evict()
    if what == "event":
        flow.push_event("paid")
    else:
        flow.run("step")  # nobody said that it waits for this one
        flow.settle_children()
    assert is_queued(flow)


def test_every_further_completion_restores_again(flow: DurableFlow) -> None:
    for seconds in ("10s", "20s", "30s"):
        flow.wait(sleep(seconds))
    for cycle in range(3):
        flow.evict()
        assert not is_queued(flow)
        flow.pass_time(10.1)
        flow.assign()
        assert flow.invocation == cycle + 2
    assert [told.order for told in flow.told] == [1, 2, 3]


def test_what_completed_while_the_worker_asked_restores_at_once(flow: DurableFlow) -> None:
    first, second = flow.wait(sleep("1s")), flow.wait(sleep("1h"))
    flow.pass_time(2)
    assert flow.evict(first, second) is Evicted.RESTORED
    assert is_queued(flow)


def test_what_surely_arrived_does_not_restore(flow: DurableFlow) -> None:
    flow.wait(sleep("1s"))
    second = flow.wait(sleep("1h"))
    flow.pass_time(2)
    assert flow.evict(second) is Evicted.EVICTED
    assert not is_queued(flow)


def test_without_knowledge_what_completed_since_the_assignment_restores(flow: DurableFlow) -> None:
    flow.wait(sleep("1s"))
    flow.pass_time(2)
    assert flow.evict(knows=False) is Evicted.RESTORED
    flow.pass_time(1)
    flow.assign()
    assert flow.evict(knows=False) is Evicted.EVICTED


def restored_count(flow: DurableFlow) -> int:
    return sync_db.run(load_openings(flow.tenant_id, [flow.task_id]))[flow.task_id].restored


def test_evictions_that_end_at_once_are_counted_until_something_is_new(flow: DurableFlow) -> None:
    node = flow.wait(sleep("0s"))
    for count in (1, 2, 3):
        assert flow.evict(node) is Evicted.RESTORED
        assert restored_count(flow) == count
        flow.assign()
        flow.wait(sleep("0s"))
    flow.wait(event("paid"))
    assert restored_count(flow) == 0


@pytest.mark.parametrize("what", ["event", "wait", "reset"])
def test_what_is_new_or_to_come_ends_the_count(flow: DurableFlow, what: str) -> None:
    node = flow.wait(event("before"))
    flow.wait(event("paid"))
    flow.push_event("before")
    flow.evict(node)
    flow.assign()
    if what == "event":
        flow.push_event("paid")
    elif what == "wait":
        assert flow.evict() is Evicted.EVICTED
    else:
        flow.branch(2)
    assert restored_count(flow) == 0


def test_restoring_by_request_is_done_once(flow: DurableFlow) -> None:
    flow.wait(sleep("1h"))
    assert flow.restore() == [flow.task_id]
    assert not is_queued(flow)
    flow.evict()
    assert flow.restore() == [flow.task_id]
    assert is_queued(flow)
    flow.queue.clear()
    assert flow.restore() == [flow.task_id]
    assert not is_queued(flow)
    assert len(messages(flow, TaskEventKind.DURABLE_RESTORING)) == 1
    stranger = DurableFlow()
    stranger.task_id = flow.task_id
    assert stranger.restore() == []


def test_a_stale_eviction_leaves_the_present_invocation_alone(flow: DurableFlow) -> None:
    flow.evict()
    flow.restore()
    flow.assign()
    flow.invocation = 1
    assert flow.evict() is Evicted.NOTHING
    assert not flow.task.is_evicted


def test_evictions_of_nothing_are_answered(flow: DurableFlow) -> None:
    flow.evict()
    assert flow.evict() is Evicted.NOTHING
    flow.cancel(flow.task_id)
    assert flow.evict() is Evicted.NOTHING
    unknown = Eviction(flow.tenant_id, uuid4(), 1)
    foreign = Eviction(DurableFlow().tenant_id, flow.task_id, 1)
    assert sync_db.run(evict_tasks([unknown, foreign], flow.now)) == [Evicted.UNKNOWN] * 2


def test_a_hostile_reason_is_cut_to_what_can_be_stored(flow: DurableFlow) -> None:
    item = Eviction(flow.tenant_id, flow.task_id, 1, "a\0b" + "x" * 5_000)
    flow.do(evict_tasks([item], flow.now))
    (message,) = messages(flow, TaskEventKind.DURABLE_EVICTED)
    assert message.startswith("abx") and len(message) == 1_000


def test_a_reason_is_given_where_the_worker_gave_none(flow: DurableFlow) -> None:
    flow.do(evict_tasks([Eviction(flow.tenant_id, flow.task_id, 1)], flow.now))
    assert messages(flow, TaskEventKind.DURABLE_EVICTED) == ["Task paused and evicted from worker"]


def test_cancelling_an_evicted_task_ends_it_and_keeps_what_it_waited_for(flow: DurableFlow) -> None:
    flow.wait(event("paid"))
    flow.evict()
    flow.cancel(flow.task_id)
    assert (flow.task.status, flow.task.is_evicted) == (Status.CANCELLED, False)
    assert [end.stop_on for end in flow.changes.ended] == [None]
    flow.push_event("paid")
    assert not is_queued(flow)
    flow.replay(flow.task_id)
    flow.assign()
    assert flow.wait(event("paid")) == Node(1, 1)
    (told,) = flow.await_(Node(1, 1))
    assert isinstance(told, Completion)


def test_a_replay_of_an_evicted_task_is_ignored(flow: DurableFlow) -> None:
    flow.wait(sleep("10s"))
    flow.evict()
    flow.replay(flow.task_id)
    assert (flow.task.retry_count, flow.task.is_evicted) == (0, True)
    flow.pass_time(11)
    assert is_queued(flow)


def test_a_restored_task_that_finds_no_worker_times_out(flow: DurableFlow) -> None:
    flow.wait(sleep("10s"))
    flow.evict()
    flow.pass_time(200)
    flow.pass_time(DURABLE.schedule_timeout_seconds + 1)
    _, changes = changing(expire_tasks([flow.tenant_id], flow.now))
    assert [run.status for run in changes.finished] == [Status.CANCELLED]


def test_an_assignment_restarts_the_deadline(flow: DurableFlow) -> None:
    flow.wait(sleep("50s"))
    flow.evict()
    flow.pass_time(51)
    flow.assign()
    due = flow.task.due_at
    assert due is not None
    assert (due - flow.now).total_seconds() == DURABLE.execution_timeout_seconds


def test_the_invocation_is_in_what_workers_are_told(flow: DurableFlow) -> None:
    flow.evict()
    flow.restore()
    assert flow.assign().durable_invocation == 2
    stop = (flow.worker_id, flow.task_id, 0)
    ((_, cancel),) = sync_db.run(load_cancels(flow.tenant_id, [stop]))
    assert cancel.durable_invocation == 2


def test_what_is_stopped_is_the_delivery_before_if_the_next_attempt_runs_already(
    flow: DurableFlow,
) -> None:
    flow.cancel(flow.task_id)
    stop = (flow.worker_id, flow.task_id, 0)
    flow.replay(flow.task_id)
    for assigned in (False, True):
        if assigned:
            assert flow.assign().durable_invocation == 2
        ((_, cancel),) = sync_db.run(load_cancels(flow.tenant_id, [stop]))
        assert (cancel.retry_count, cancel.durable_invocation) == (0, 1)


def test_a_plain_task_has_no_invocation_and_no_log(flow: DurableFlow) -> None:
    flow.spawn(child(child_index=0))
    flow.start("step")
    action = flow.running["step"]
    assert action.durable_invocation is None
    item = Eviction(flow.tenant_id, action.task_id, 1)
    assert sync_db.run(evict_tasks([item], flow.now)) == [Evicted.UNKNOWN]
