"""Branches of a program that run side by side make their calls in another order, and find them all the same."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.domain.durable.calls import (
    AnswerBody,
    Call,
    MemoAnswer,
    MemoCall,
    Mismatch,
    Node,
    WaitAnswer,
    WaitCall,
    WaitCondition,
)
from engine.models import DurableTask
from engine.operations.durable.read_logs import load_openings
from engine.operations.durable.record_calls import Tried, record_calls
from engine.store import sync_db
from tests.operations.durable import DurableFlow, child, event, sleep

pytestmark = pytest.mark.django_db


@pytest.fixture
def flow() -> DurableFlow:
    return DurableFlow()


def again(flow: DurableFlow) -> None:
    """Deliver the task anew."""
    flow.evict()
    flow.restore()
    flow.assign()


def passed(flow: DurableFlow) -> str | None:
    return DurableTask.objects.get(task_id=flow.task_id).passed_nodes


def test_branches_may_change_places(flow: DurableFlow) -> None:
    flow.wait(event("first"))
    nodes = [flow.wait(event("a")), flow.wait(event("b"))]
    children = flow.spawn(child(child_index=0))
    again(flow)
    flow.wait(event("first"))
    assert flow.spawn(child(child_index=0)) == children
    assert passed(flow) == "[2,3]"
    opening = sync_db.run(load_openings(flow.tenant_id, [flow.task_id]))[flow.task_id]
    assert (opening.reached, opening.passed) == (4, (2, 3))
    assert [flow.wait(event("b")), flow.wait(event("a"))] == nodes[::-1]
    assert passed(flow) == "[]"
    assert flow.wait(sleep("1s")) == Node(1, 5)
    again(flow)
    assert passed(flow) is None


def test_what_a_branch_never_came_to_is_recorded_while_another_is_behind(flow: DurableFlow) -> None:
    first, second = flow.wait(event("a")), flow.wait(event("b"))
    flow.push_event("a")
    again(flow)
    assert flow.wait(event("a")) == first
    new = flow.memo(b"after a")
    assert new == MemoAnswer(Node(1, 3), existed=False)
    assert flow.wait(event("b")) == second
    assert len(flow.entries()) == 3


def test_a_program_of_one_branch_keeps_its_order(flow: DurableFlow) -> None:
    flow.wait(sleep("1s"))
    flow.pass_time(2)
    flow.wait(sleep("3s"))
    again(flow)
    assert isinstance(flow.call(WaitCall((sleep("3s"),))), Mismatch)
    assert isinstance(flow.call(WaitCall((sleep("1s"),))), WaitAnswer)


def test_a_delivery_that_was_seen_to_run_branches_may_change_their_order(flow: DurableFlow) -> None:
    flow.wait(sleep("1s"))
    flow.pass_time(2)
    second = flow.wait(sleep("3s"))
    again(flow)
    body = WaitCall((sleep("3s"),))
    call = Call(flow.tenant_id, flow.task_id, flow.invocation, body, is_of_branch=True)
    (answer,) = flow.do(record_calls([call], flow.now))
    assert answer.body == WaitAnswer(second)


def wait_told(
    flow: DurableFlow, told: int, condition: WaitCondition, *, is_of_branch: bool = False
) -> AnswerBody:
    """Wait in a delivery that was told of completions up to this order."""
    body = WaitCall((condition,))
    call = Call(flow.tenant_id, flow.task_id, flow.invocation, body, is_of_branch, told)
    (answer,) = flow.do(record_calls([call], flow.now))
    return answer.body


def test_calls_made_before_a_known_completion_was_told_are_of_branches(flow: DurableFlow) -> None:
    flow.wait(event("first"))
    flow.push_event("first")
    again(flow)
    flow.wait(event("first"))
    flow.pass_time(1)
    nodes = [wait_told(flow, 0, event(key)) for key in "ab"]
    again(flow)
    flow.wait(event("first"))
    assert [WaitAnswer(flow.wait(event(key))) for key in "ba"] == nodes[::-1]


def test_a_call_behind_later_ones_is_not_demanded_with_the_early_ones(flow: DurableFlow) -> None:
    flow.wait(event("first"))
    flow.push_event("first")
    wait_told(flow, 1, event("second"))
    again(flow)
    flow.wait(event("first"))
    late = wait_told(flow, 0, event("late"), is_of_branch=True)
    assert late == WaitAnswer(Node(1, 3))
    opening = sync_db.run(load_openings(flow.tenant_id, [flow.task_id]))[flow.task_id]
    assert opening.reaches == ((0, 1), (1, 3))


def test_calls_out_of_turn_that_are_tried_again_are_found(flow: DurableFlow) -> None:
    flow.wait(event("a"))
    flow.wait(event("b"))
    again(flow)
    flow.wait(event("a"))
    call = Call(flow.tenant_id, flow.task_id, flow.invocation, MemoCall(b"new"))
    tried: Tried = {}
    answers = [flow.do(record_calls([call], flow.now, tried))[0].body for _ in range(2)]
    assert answers == [MemoAnswer(Node(1, 3), existed=existed) for existed in (False, True)]
    assert passed(flow) == "[2]"


def test_calls_that_were_passed_are_found_when_they_are_tried_again(flow: DurableFlow) -> None:
    for key in "abc":
        flow.wait(event(key))
    again(flow)
    flow.wait(event("a"))
    flow.wait(event("c"))
    call = Call(flow.tenant_id, flow.task_id, flow.invocation, WaitCall((event("b"),)))
    tried: Tried = {}
    answers = [flow.do(record_calls([call], flow.now, tried))[0].body for _ in range(2)]
    assert answers == [WaitAnswer(Node(1, 2))] * 2
    assert len(flow.entries()) == 3


def test_several_children_of_one_call_are_found_far_ahead(flow: DurableFlow) -> None:
    flow.wait(event("a"))
    flow.memo(b"m")
    flow.wait(event("b"))
    inputs = [b'{"n":1}', b'{"n":2}']
    known = flow.spawn(*(child(input=each, child_index=at + 1) for at, each in enumerate(inputs)))
    again(flow)
    flow.wait(event("a"))
    runs: set[UUID] = {run for _, run in known}
    found = flow.spawn(*(child(input=each, child_index=at) for at, each in enumerate(inputs)))
    assert found == known
    assert {run for _, run in found} == runs
    assert len(flow.entries()) == 5


def test_calls_out_of_turn_are_answered_in_full(flow: DurableFlow) -> None:
    flow.wait(event("first"))
    early = flow.wait(event("a"))
    memo = flow.memo(b"m")
    assert isinstance(memo, MemoAnswer)
    flow.keep(memo.node, b'{"kept":1}')
    flow.push_event("a", number=7)
    again(flow)
    flow.wait(event("first"))
    assert flow.memo(b"m") == MemoAnswer(memo.node, True, b'{"kept":1}')
    (answer,) = flow.record(WaitCall((event("a"),)))
    (completion,) = answer.completions
    assert (completion.node, completion.payload) == (early, b'{"CREATE":{"a":[{"number":7}]}}')


def test_calls_out_of_turn_that_come_together_are_answered_in_full(flow: DurableFlow) -> None:
    flow.wait(event("first"))
    flow.wait(event("a"))
    memos = [flow.memo(key) for key in (b"m", b"n")]
    for memo in memos:
        assert isinstance(memo, MemoAnswer)
        flow.keep(memo.node, b'{"kept":1}')
    again(flow)
    flow.wait(event("first"))
    answers = flow.record(MemoCall(b"n"), MemoCall(b"m"))
    found = [answer.body for answer in answers]
    assert [body.payload for body in found if isinstance(body, MemoAnswer)] == [b'{"kept":1}'] * 2
