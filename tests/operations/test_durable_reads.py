"""What people are shown of durable tasks."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

from engine.domain.durable.calls import MemoAnswer
from engine.models import Task
from engine.models.durable_queries import (
    Branch,
    branches,
    durable_task,
    log_entries,
    next_wake_ups,
    off_worker,
    open_durable_waits,
)
from engine.operations.durable.read_logs import load_openings
from engine.states import DurableKind, Status
from engine.store import sync_db
from tests.operations.durable import DurableFlow, child, event, sleep


def test_the_log_says_what_was_called_and_what_came_of_it(flow: DurableFlow) -> None:
    group = uuid4()
    flow.memo()
    flow.spawn(child(child_index=0))
    flow.wait(sleep("90s", group=group), event("paid", group=group), sleep("1500ms"))
    flow.pass_time(2)
    memo, run, wait = log_entries(flow.task_id)
    assert [entry.kind for entry in (memo, run, wait)] == [
        DurableKind.MEMO,
        DurableKind.RUN,
        DurableKind.WAIT_FOR,
    ]
    assert memo.detail is None
    assert json.loads(run.detail or "") == [{"kind": "CHILD_WORKFLOW", "workflowName": "child"}]
    assert json.loads(wait.detail or "") == [
        {"kind": "SLEEP", "sleepDurationMs": 1500},
        {
            "or": [
                {"kind": "SLEEP", "sleepDurationMs": 90_000},
                {"kind": "USER_EVENT", "eventKey": "paid"},
            ]
        },
    ]
    assert [entry.satisfied_at is None for entry in (memo, run, wait)] == [True, True, True]
    flow.push_event("paid")
    assert log_entries(flow.task_id)[2].satisfied_at == flow.now


def test_branches_and_open_waits_are_listed(flow: DurableFlow) -> None:
    flow.wait(sleep("1h"))
    flow.wait(event("paid"), sleep("2h"))
    ends = flow.now + timedelta(hours=1)
    assert next_wake_ups([flow.task_id])[flow.task_id].due_at == ends
    waits = open_durable_waits([flow.task_id])[flow.task_id]
    assert [[w.source for w in listed] for listed in waits.values()] == [["1h"], ["paid", "2h"]]
    flow.end("work")
    flow.branch(2)
    task = durable_task(flow.tenant_id, flow.task_id)
    assert task is not None
    assert branches(task) == [Branch(1), Branch(2, 1, 2)]
    assert list(open_durable_waits([flow.task_id])[flow.task_id]) == [(1, 1)]
    assert durable_task(uuid4(), flow.task_id) is None


def test_an_evicted_task_runs_for_people_and_so_does_one_that_is_to_go_on(
    flow: DurableFlow,
) -> None:
    assert not flow.task.is_off_worker
    flow.evict()
    assert (flow.task.shown_status, flow.task.is_off_worker) == (Status.RUNNING, True)
    assert list(off_worker(Task.objects.filter(id=flow.task_id))) == [flow.task]
    flow.restore()
    assert (flow.task.shown_status, flow.task.is_off_worker) == (Status.RUNNING, False)
    (shown,) = flow.details(flow.task_id).tasks
    assert (shown.status, shown.is_evicted) == (Status.RUNNING, True)
    flow.assign()
    (shown,) = flow.details(flow.task_id).tasks
    assert (shown.status, shown.is_evicted) == (Status.RUNNING, False)


def test_pages_are_told_of_everything_the_log_shows(flow: DurableFlow) -> None:
    run = (flow.tenant_id, flow.task.run_id)
    memo = flow.memo()
    assert isinstance(memo, MemoAnswer)
    assert run in flow.changes.touched
    flow.keep(memo.node, b"{}")
    assert run in flow.changes.touched
    flow.keep(memo.node, b"{}")
    assert run not in flow.changes.touched
    flow.wait(sleep("1s"), event("paid"))
    flow.pass_time(2)
    assert run in flow.changes.touched
    flow.push_event("other")
    assert run not in flow.changes.touched
    flow.push_event("paid")
    assert run in flow.changes.touched


def test_an_opening_tells_a_stream_where_the_log_stands(flow: DurableFlow) -> None:
    flow.wait(sleep("9s"))
    early = flow.wait(sleep("3s"))
    flow.pass_time(4)
    opening = sync_db.run(load_openings(flow.tenant_id, [flow.task_id, uuid4()]))
    assert opening == {flow.task_id: (1, True, 2, ((1, early),), ((0, 2),), (), 0, 1)}
    assert sync_db.run(load_openings(uuid4(), [flow.task_id])) == {}
    flow.evict()
    assert not sync_db.run(load_openings(flow.tenant_id, [flow.task_id]))[flow.task_id].is_live


def test_an_opening_tells_which_calls_came_before_which_completions(flow: DurableFlow) -> None:
    for text in ("1s", "3s"):
        flow.wait(sleep(text))
    flow.pass_time(2)
    flow.memo()
    flow.wait(sleep("9s"))
    flow.pass_time(2)
    flow.memo()
    opening = sync_db.run(load_openings(flow.tenant_id, [flow.task_id]))[flow.task_id]
    assert opening.reaches == ((0, 2), (1, 4), (2, 5))


def test_the_order_that_is_told_is_that_of_the_active_branch(flow: DurableFlow) -> None:
    nodes = [flow.wait(sleep(text)) for text in ("3s", "2s", "1s")]
    for _ in nodes:
        flow.pass_time(1)
    flow.end("work")
    flow.branch(3)
    flow.assign()
    opening = sync_db.run(load_openings(flow.tenant_id, [flow.task_id]))[flow.task_id]
    assert opening.recorded == ((2, nodes[1]), (3, nodes[0]))
    assert opening.reached == 0
