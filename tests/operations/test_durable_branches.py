"""A reset runs a durable task again from a node on; what lies before is kept."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.domain.definition import StepDefinition
from engine.domain.durable.calls import Completion, MemoAnswer, Node, WaitCall
from engine.errors import InvalidArgument, NotFound
from engine.models import DurableTask, DurableWait, Run
from engine.operations.durable.read_logs import load_openings
from engine.states import Status
from engine.store import sync_db
from tests.operations.durable import DURABLE, DurableFlow, child, event, sleep


def finish(flow: DurableFlow) -> None:
    flow.end("work")
    assert flow.task.status == Status.COMPLETED


def three_sleeps(flow: DurableFlow) -> list[bool]:
    """Say of each of three sleeps whether it was over when it was asked for."""
    found = []
    for seconds in ("1s", "2s", "3s"):
        (answer,) = flow.record(WaitCall((sleep(seconds),)))
        found.append(bool(answer.completions))
        if not answer.completions:
            flow.pass_time(4)
    return found


@pytest.mark.parametrize("node", [1, 2, 3])
def test_what_lies_before_the_node_is_kept_and_the_rest_is_new(
    flow: DurableFlow, node: int
) -> None:
    assert three_sleeps(flow) == [False, False, False]
    finish(flow)
    assert flow.branch(node) == 2
    assert (flow.task.status, flow.task.retry_count) == (Status.QUEUED, 1)
    assert Run.objects.get(id=flow.task_id).status == Status.QUEUED
    flow.assign()
    assert flow.invocation == 2
    assert three_sleeps(flow) == [number < node for number in (1, 2, 3)]
    assert [e.node_id for e in flow.entries() if e.branch_id == 2] == list(range(node, 4))


def test_a_branch_of_a_branch_keeps_what_both_share(flow: DurableFlow) -> None:
    three_sleeps(flow)
    finish(flow)
    flow.branch(1, 1)
    flow.assign()
    three_sleeps(flow)
    finish(flow)
    assert flow.branch(2, 2) == 3
    flow.assign()
    assert three_sleeps(flow) == [True, False, False]


def test_a_branch_that_comes_back_has_no_order_twice(flow: DurableFlow) -> None:
    flow.wait(event("a"))
    flow.wait(event("b"))
    flow.push_event("b")
    flow.branch(2)
    flow.assign()
    flow.wait(event("a"))
    flow.push_event("a")
    flow.branch(3)
    flow.assign()
    opening = sync_db.run(load_openings(flow.tenant_id, [flow.task_id]))[flow.task_id]
    assert opening.recorded == ((1, Node(1, 2)), (2, Node(1, 1)))


def test_a_branch_starts_children_of_its_own(flow: DurableFlow) -> None:
    ((_, first),) = flow.spawn(child(child_index=0))
    finish(flow)
    flow.branch(1)
    flow.assign()
    ((node, second),) = flow.spawn(child(child_index=0))
    assert (node, first == second) == (Node(2, 1), False)


def test_what_an_abandoned_branch_waited_for_does_not_count(flow: DurableFlow) -> None:
    flow.wait(sleep("10s"))
    flow.wait(event("paid"))
    finish(flow)
    flow.branch(1)
    flow.pass_time(11)
    flow.push_event("paid")
    assert flow.told == []
    assert all(entry.satisfied_at is None for entry in flow.entries())


def test_it_counts_again_when_a_reset_goes_back_to_that_branch(flow: DurableFlow) -> None:
    flow.wait(sleep("10s"))
    flow.wait(event("paid"))
    finish(flow)
    flow.branch(1)
    flow.pass_time(11)
    flow.assign()
    finish(flow)
    flow.branch(3, 1)
    flow.assign()
    flow.wait(sleep("10s"))
    flow.pass_time(0)
    flow.push_event("paid")
    assert [told.node for told in flow.told] == [Node(1, 1), Node(1, 2)]


def test_a_child_that_ended_while_its_branch_was_left_is_told_later(flow: DurableFlow) -> None:
    ((node, _),) = flow.spawn(child(child_index=0))
    flow.await_(node)
    finish(flow)
    flow.branch(1)
    flow.run("step", n=1)
    flow.settle_children()
    assert flow.told == []
    flow.assign()
    finish(flow)
    flow.branch(2, 1)
    flow.assign()
    assert flow.spawn(child(child_index=0))[0][0] == node
    (told,) = flow.await_(node)
    assert isinstance(told, Completion)
    assert told.order == 1


@pytest.mark.parametrize("state", ["running", "evicted", "queued"])
def test_a_live_invocation_is_stopped_first(flow: DurableFlow, state: str) -> None:
    flow.wait(sleep("1h"))
    if state != "running":
        flow.evict()
    if state == "queued":
        flow.restore()
    flow.branch(1)
    stops = [end.stop_on for end in flow.changes.ended]
    assert stops == [flow.worker_id if state == "running" else None]
    assert flow.finished == {}
    assert (flow.task.status, flow.task.retry_count) == (Status.QUEUED, 1)
    assert not flow.task.is_evicted
    assert Run.objects.get(id=flow.task_id).status == Status.QUEUED
    assert DurableTask.objects.get(task_id=flow.task_id).node_id == 0
    flow.assign()
    assert flow.memo() == MemoAnswer(Node(2, 1), existed=False)


@pytest.mark.parametrize(("node", "branch"), [(0, 1), (-1, 1), (1, -1), (1, 2), (1, 2**62)])
def test_a_reset_to_nowhere_is_refused(flow: DurableFlow, node: int, branch: int) -> None:
    flow.wait(sleep())
    finish(flow)
    with pytest.raises(InvalidArgument):
        flow.branch(node, branch)
    assert DurableTask.objects.get(task_id=flow.task_id).forks is None
    assert flow.task.status == Status.COMPLETED


def test_a_reset_beyond_the_last_node_is_a_replay(flow: DurableFlow) -> None:
    flow.wait(sleep("1s"))
    flow.pass_time(2)
    finish(flow)
    flow.branch(2**62)
    flow.assign()
    assert flow.record(WaitCall((sleep("1s"),)))[0].completions != ()


def test_only_durable_tasks_of_the_tenant_are_reset(flow: DurableFlow) -> None:
    stranger = DurableFlow()
    stranger.task_id = flow.task_id
    with pytest.raises(NotFound):
        stranger.branch(1)
    ((_, plain),) = flow.spawn(child(child_index=0))
    for unknown in (plain, uuid4()):
        flow.task_id = unknown
        with pytest.raises(NotFound):
            flow.branch(1)


def test_a_step_of_a_finished_dag_is_reset_with_what_follows(db: None) -> None:
    after = StepDefinition("after", "flow:after", parents=("work",))
    flow = DurableFlow(DURABLE, after)
    run_id = flow.task_id
    flow.task_id = flow.running["work"].task_id
    flow.wait(sleep("1s"))
    with pytest.raises(InvalidArgument):
        flow.branch(1)
    assert flow.task.status == Status.RUNNING
    flow.pass_time(2)
    flow.end("work")
    flow.run("after")
    assert flow.finished == {run_id: Status.COMPLETED}
    flow.finished.clear()
    flow.branch(1)
    flow.assign()
    flow.wait(sleep("1s"))
    flow.end("work", fresh=True)
    assert flow.run("after")["parents"] == {"work": {"fresh": True}}
    assert flow.finished == {run_id: Status.COMPLETED}


def test_waits_of_the_kept_part_go_on(flow: DurableFlow) -> None:
    kept = flow.wait(event("paid"))
    flow.wait(sleep("1h"))
    finish(flow)
    flow.branch(2)
    assert DurableWait.objects.filter(is_dropped=True).count() == 1
    flow.push_event("paid")
    assert [told.node for told in flow.told] == [kept]
