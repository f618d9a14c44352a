"""Calls of durable tasks are recorded once, and answered from the log ever after."""

from __future__ import annotations

from uuid import uuid4

import orjson
import pytest

from engine.domain.definition import (
    Concurrency,
    Idempotency,
    StepDefinition,
    WorkflowDefinition,
)
from engine.domain.durable.calls import (
    Call,
    Completion,
    MemoAnswer,
    MemoCall,
    MemoResult,
    Mismatch,
    Node,
    Refused,
    SpawnAnswer,
    SpawnCall,
    Stale,
    Stored,
    Unknown,
    WaitAnswer,
    WaitCall,
)
from engine.models import DurableWait, Run
from engine.operations.durable.record_calls import Tried, record_calls
from engine.states import Status
from engine.types import ReportKind
from tests.operations.durable import DurableFlow, child, sleep


def test_an_assignment_begins_an_invocation_and_its_nodes_count_from_one(flow: DurableFlow) -> None:
    assert flow.invocation == 1
    assert [flow.wait(sleep()), flow.wait(sleep("3s"))] == [Node(1, 1), Node(1, 2)]
    flow.evict()
    flow.restore()
    flow.assign()
    assert flow.invocation == 2
    assert flow.wait(sleep()) == Node(1, 1)


def test_calls_of_one_task_are_taken_in_order(flow: DurableFlow) -> None:
    answers = flow.record(MemoCall(b"a"), MemoResult(Node(1, 1), b'{"a":1}'), WaitCall((sleep(),)))
    assert [answer.body for answer in answers] == [
        MemoAnswer(Node(1, 1), existed=False),
        Stored(),
        WaitAnswer(Node(1, 2)),
    ]


def test_calls_whose_recording_was_not_confirmed_are_not_recorded_once_more(
    flow: DurableFlow,
) -> None:
    flow.memo()
    bodies = WaitCall((sleep(),)), SpawnCall((child(),)), MemoCall(b"a")
    calls = [Call(flow.tenant_id, flow.task_id, flow.invocation, body) for body in bodies]
    tried: Tried = {}
    first = flow.do(record_calls(calls, flow.now, tried))
    again = flow.do(record_calls(calls, flow.now, tried))
    assert [a.body for a in again[:2]] == [a.body for a in first[:2]]
    assert again[2].body == MemoAnswer(Node(1, 4), existed=True)
    assert [entry.node_id for entry in flow.entries()] == [1, 2, 3, 4]
    assert Run.objects.filter(parent_task_id=flow.task_id).count() == 1
    assert flow.wait(sleep("7s")) == Node(1, 5)


def test_what_another_invocation_tried_does_not_count(flow: DurableFlow) -> None:
    tried: Tried = {flow.task_id: (flow.invocation + 1, 0, None)}
    assert flow.wait(sleep("10s")) == Node(1, 1)
    call = Call(flow.tenant_id, flow.task_id, flow.invocation, WaitCall((sleep("20s"),)))
    (answer,) = flow.do(record_calls([call], flow.now, tried))
    assert answer.body == WaitAnswer(Node(1, 2))


def test_a_sleep_ends_when_it_is_due_and_never_before(flow: DurableFlow) -> None:
    node = flow.wait(sleep("10s"))
    flow.pass_time(9.9)
    assert flow.told == []
    flow.pass_time(0.2)
    (told,) = flow.told
    assert (told.node, told.order, told.invocation, told.error) == (node, 1, 1, None)
    assert told.payload == b'{"CREATE":{"sleep:10s":[{"sleep_duration":"10s"}]}}'
    assert not DurableWait.objects.exists()


def test_a_sleep_goes_on_where_it_was_after_a_replay(flow: DurableFlow) -> None:
    flow.wait(sleep("10s"))
    flow.pass_time(6)
    flow.cancel(flow.task_id)
    flow.replay(flow.task_id)
    flow.assign()
    assert flow.wait(sleep("10s")) == Node(1, 1)
    flow.pass_time(5)
    assert [told.node for told in flow.told] == [Node(1, 1)]
    assert flow.told[0].invocation == 2


def test_a_sleep_that_is_over_while_nobody_runs_is_answered_at_once_by_the_next(
    flow: DurableFlow,
) -> None:
    flow.wait(sleep("10s"))
    flow.cancel(flow.task_id)
    flow.pass_time(11)
    flow.replay(flow.task_id)
    flow.assign()
    (answer,) = flow.record(WaitCall((sleep("10s"),)))
    assert [completion.order for completion in answer.completions] == [1]


@pytest.mark.parametrize("text", ["-3s", "0h", "0s"])
def test_a_sleep_that_lies_behind_ends_at_once_and_echoes_its_text(
    flow: DurableFlow, text: str
) -> None:
    (answer,) = flow.record(WaitCall((sleep(text, "k"),)))
    (completion,) = answer.completions
    assert orjson.loads(completion.payload) == {"CREATE": {"k": [{"sleep_duration": text}]}}


@pytest.mark.parametrize("text", ["", "soon", "11y", "1s\0"])
def test_a_sleep_of_no_length_is_refused_and_nothing_written(flow: DurableFlow, text: str) -> None:
    assert isinstance(flow.call(WaitCall((sleep(text, "k"),))), Refused)
    assert flow.entries() == []
    assert flow.wait(sleep()) == Node(1, 1)


def test_another_call_than_the_recorded_one_is_refused_and_moves_nothing(flow: DurableFlow) -> None:
    flow.wait(sleep("5s"))
    flow.evict()
    flow.restore()
    flow.assign()
    body = flow.call(WaitCall((sleep("6s"),)))
    assert body == Mismatch(
        Node(1, 1),
        f"non-determinism error in task {flow.task_id} at node 1:1\n"
        "  expected: sleep(5s)\n  received: sleep(6s)",
    )
    assert isinstance(flow.memo(), Mismatch)
    assert flow.wait(sleep("5s")) == Node(1, 1)


def test_a_memo_keeps_the_first_value_verbatim(flow: DurableFlow) -> None:
    assert flow.memo() == MemoAnswer(Node(1, 1), existed=False)
    (kept,) = flow.record(MemoResult(Node(1, 1), b'{ "a": 1 }'))
    assert kept.body == Stored()
    assert [(c.node, c.payload, c.order) for c in kept.completions] == [
        (Node(1, 1), b'{ "a": 1 }', None)
    ]
    flow.keep(Node(1, 1), b'{"a":2}')
    flow.evict()
    flow.restore()
    flow.assign()
    assert flow.memo() == MemoAnswer(Node(1, 1), True, b'{ "a": 1 }')


def test_a_memo_whose_value_never_came_is_computed_again(flow: DurableFlow) -> None:
    flow.memo()
    flow.evict()
    flow.restore()
    flow.assign()
    assert flow.memo() == MemoAnswer(Node(1, 1), existed=True)


def test_a_value_for_no_memo_is_unknown(flow: DurableFlow) -> None:
    flow.wait(sleep())
    assert flow.keep(Node(1, 1), b"{}") == Unknown()
    assert flow.keep(Node(9, 2**62), b"{}") == Unknown()


def test_stale_and_foreign_calls_change_nothing(flow: DurableFlow) -> None:
    assert flow.call(WaitCall((sleep(),)), invocation=7) == Stale()
    other = DurableFlow()
    other.task_id = flow.task_id
    assert other.memo() == Unknown()
    flow.task_id = uuid4()
    assert flow.memo() == Unknown()


def test_who_does_not_run_may_not_add_to_the_log(flow: DurableFlow) -> None:
    flow.wait(sleep())
    flow.evict()
    assert flow.memo() == Stale()
    flow.restore()
    assert flow.memo() == Stale()
    flow.cancel(flow.task_id)
    assert flow.memo() == Stale()


# Children


def test_children_get_nodes_in_order_and_inherit_from_the_task(flow: DurableFlow) -> None:
    asked = child(
        child_index=0,
        input=b'{"n":1}',
        parent_task_id=uuid4(),
        additional_metadata=b'{"mine":"x","hatchet__z":"1"}',
    )
    (first, run_id), (second, _) = flow.spawn(asked, child(child_index=1))
    assert (first, second) == (Node(1, 1), Node(1, 2))
    run = Run.objects.get(id=run_id)
    assert (run.parent_task_id, run.parent_run_id) == (flow.task_id, flow.task_id)
    metadata: dict[str, str] = run.additional_metadata or {}
    assert metadata["mine"] == "x"
    assert metadata["hatchet__parent_step_run_id"] == str(flow.task_id)
    assert "step" in flow.queue


def test_a_replay_finds_its_children_and_starts_none(flow: DurableFlow) -> None:
    before = flow.spawn(child(child_index=0), child(child_index=1))
    flow.evict()
    flow.restore()
    flow.assign()
    assert flow.spawn(child(child_index=0), child(child_index=1)) == before
    assert Run.objects.filter(parent_task_id=flow.task_id).count() == 2


def test_a_child_completes_its_entry_once_somebody_waits_for_it(flow: DurableFlow) -> None:
    ((node, run_id),) = flow.spawn(child(child_index=0))
    flow.run("step", answer=42)
    assert flow.finished[run_id] is Status.COMPLETED
    assert flow.changes.finished[0].wakes_parent
    assert flow.settle_children() == 1
    assert flow.told == []
    (told,) = flow.await_(node)
    assert isinstance(told, Completion)
    assert (told.payload, told.order, told.error) == (b'{"answer":42}', 1, None)
    assert flow.settle_children() == 0


def test_a_child_that_is_awaited_is_told_when_it_ends(flow: DurableFlow) -> None:
    ((node, _),) = flow.spawn(child(child_index=0))
    assert flow.await_(node) == [None]
    flow.run("step")
    flow.settle_children()
    assert [(told.node, told.order, told.payload) for told in flow.told] == [(node, 1, b"{}")]


def test_children_nobody_waits_for_leave_no_gap_in_the_order(flow: DurableFlow) -> None:
    flow.spawn(child(child_index=0))
    flow.run("step")
    flow.settle_children()
    flow.wait(sleep("1s"))
    flow.pass_time(2)
    assert [told.order for told in flow.told] == [1]


def test_the_failure_of_a_child_is_told_verbatim_and_for_ever(flow: DurableFlow) -> None:
    ((node, _),) = flow.spawn(child(child_index=0))
    flow.await_(node)
    flow.start("step")
    flow.end("step", ReportKind.FAILED)
    assert flow.changes.finished[0].wakes_parent
    flow.settle_children()
    assert [(told.error, told.payload) for told in flow.told] == [("broken", b"")]
    flow.evict()
    flow.restore()
    flow.assign()
    (answer,) = flow.record(SpawnCall((child(child_index=0),)))
    assert [completion.error for completion in answer.completions] == ["broken"]


def test_a_cancelled_child_is_told_as_such(flow: DurableFlow) -> None:
    ((node, run_id),) = flow.spawn(child(child_index=0))
    flow.await_(node)
    flow.cancel(run_id)
    assert flow.changes.finished[0].wakes_parent
    flow.settle_children()
    assert [told.error for told in flow.told] == ["task was cancelled"]


def test_a_child_of_no_known_workflow_fails_in_the_log(flow: DurableFlow) -> None:
    (missing, _), (fine, _) = flow.spawn(child("nobody", child_index=0), child(child_index=1))
    told = flow.await_(missing, fine)
    assert told[1] is None
    assert isinstance(told[0], Completion)
    assert told[0].error == "workflow names not found: nobody"
    assert "step" in flow.queue


@pytest.mark.parametrize("steps", [1, 2])
def test_a_child_that_fails_before_it_is_queued_is_told(flow: DurableFlow, steps: int) -> None:
    names = ("a", "b")[:steps]
    broken = Concurrency("input.nothing", 1)
    listed = tuple(StepDefinition(name, f"broken:{name}", concurrency=(broken,)) for name in names)
    flow.put(WorkflowDefinition("broken", listed))
    ((node, _),) = flow.spawn(child("broken", child_index=0))
    assert any(run.wakes_parent for run in flow.changes.finished)
    flow.settle_children()
    (told,) = flow.await_(node)
    assert isinstance(told, Completion)
    assert told.error


def test_a_child_whose_idempotency_key_is_taken_fails_in_the_log(flow: DurableFlow) -> None:
    once = Idempotency("'key'", 60_000)
    step = StepDefinition("only", "once:only")
    flow.put(WorkflowDefinition("once", (step,), idempotency=once))
    (first, _), (second, _) = flow.spawn(child("once", child_index=0), child("once", child_index=1))
    told = flow.await_(first, second)
    assert told[0] is None
    assert isinstance(told[1], Completion)
    assert "idempotency key" in (told[1].error or "")
    assert Run.objects.filter(parent_task_id=flow.task_id).count() == 1


def test_cancelling_a_task_leaves_its_children_and_their_results_alone(flow: DurableFlow) -> None:
    ((node, run_id),) = flow.spawn(child(child_index=0))
    flow.cancel(flow.task_id)
    assert Run.objects.get(id=run_id).status == Status.QUEUED
    flow.run("step", n=1)
    flow.settle_children()
    flow.replay(flow.task_id)
    flow.assign()
    flow.spawn(child(child_index=0))
    (told,) = flow.await_(node)
    assert isinstance(told, Completion)
    assert told.payload == b'{"n":1}'


def test_a_used_key_finds_its_child_whatever_the_input(flow: DurableFlow) -> None:
    spawned = flow.spawn(
        child(child_key="a", child_index=0, input=b'{"n":1}'),
        child(child_key="b", child_index=1),
    )
    again = flow.spawn(child(child_key="a", child_index=2, input=b'{"n":2}'))
    assert again == spawned[:1]
    assert flow.wait(sleep()) == Node(1, 3)


def test_a_replay_that_begins_with_a_later_child_does_not_overwrite_what_lies_ahead(
    flow: DurableFlow,
) -> None:
    for key in "abcd":
        flow.spawn(child(child_key=key))
    flow.wait(sleep("1h"))
    flow.evict()
    flow.restore()
    flow.assign()
    assert isinstance(flow.call(SpawnCall((child(child_key="d"), child(child_key="e")))), Mismatch)
    assert flow.spawn(child(child_key="d"))[0][0] == Node(1, 4)
    assert flow.wait(sleep("1h")) == Node(1, 5)


def test_a_used_index_must_mean_the_same_child(flow: DurableFlow) -> None:
    ((node, _),) = flow.spawn(child(child_index=0, input=b'{"n":1}'))
    body = flow.call(SpawnCall((child(child_index=1), child(child_index=0, input=b'{"n":2}'))))
    assert isinstance(body, Mismatch)
    assert body.node == node
    assert len(flow.entries()) == 1
    assert isinstance(flow.call(SpawnCall((child(child_index=0, input=b'{"n":1}'),))), SpawnAnswer)
