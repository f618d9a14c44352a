"""Branches of a program that run side by side: each finds its own calls in the log, in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.domain.durable.calls import MemoAnswer, Mismatch, Node, SpawnAnswer, WaitAnswer
from engine.domain.durable.log import Incomplete
from engine.domain.durable.order import Mark, Span, find_reaches, run_side_by_side
from engine.domain.durable.state import LogState
from engine.states import DurableKind
from tests.unit.durable_task import Task, child, event, sleep

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def task() -> Task:
    return Task()


def again(task: Task, *, side_by_side: bool = True) -> None:
    """Begin another invocation, which may make its calls in another order."""
    task.again()
    task.log.add_rest((), may_change_places=side_by_side)


# Waits and memos


def test_branches_that_change_places_find_their_own_calls(task: Task) -> None:
    first, second, third = task.wait(sleep("1s")), task.memo(b"a"), task.wait(sleep("2s"))
    again(task)
    assert [task.wait(sleep("2s")), task.memo(b"a"), task.wait(sleep("1s"))] == [
        third,
        second,
        first,
    ]
    assert task.log.state.passed == ()
    assert task.log.created == []


def test_a_call_that_was_never_made_comes_after_all_that_were(task: Task) -> None:
    first, second = task.wait(sleep("1s")), task.wait(sleep("2s"))
    again(task)
    new = task.memo(b"new")
    assert new == Node(1, 3)
    assert task.log.state.passed == (1, 2)
    assert [task.wait(sleep("2s")), task.wait(sleep("1s"))] == [second, first]
    again(task)
    assert [task.wait(sleep("1s")), task.memo(b"new"), task.wait(sleep("2s"))] == [
        first,
        new,
        second,
    ]


def test_equal_calls_are_found_in_the_order_in_which_they_were_made(task: Task) -> None:
    nodes = [task.memo(b"now"), task.wait(sleep("1s")), task.memo(b"now")]
    again(task)
    task.wait(sleep("1s"))
    assert [task.memo(b"now"), task.memo(b"now"), task.memo(b"now")] == [
        nodes[0],
        nodes[2],
        Node(1, 4),
    ]


def test_waits_that_differ_in_their_scopes_are_told_apart(task: Task) -> None:
    nodes = {scope: task.wait(event("key", scope=scope)) for scope in "ab"}
    again(task)
    assert {scope: task.wait(event("key", scope=scope)) for scope in "ba"} == nodes
    again(task, side_by_side=False)
    assert task.wait(event("key", scope="another")) == nodes["a"]


def test_a_program_of_one_branch_keeps_its_order(task: Task) -> None:
    task.wait(sleep("1s"))
    task.wait(sleep("2s"))
    again(task, side_by_side=False)
    answer = task.log.wait((sleep("2s"),))
    assert isinstance(answer, Mismatch)
    assert answer.node == Node(1, 1)
    assert (task.log.state.node_id, task.log.state.passed) == (0, None)


def test_as_long_as_not_all_is_known_nothing_is_new(task: Task) -> None:
    task.wait(sleep("1s"))
    task.again()
    assert isinstance(task.log.wait((sleep("2s"),)), Incomplete)
    task.log.add_rest((), may_change_places=True)
    assert task.wait(sleep("2s")) == Node(1, 2)


def test_a_value_that_comes_late_serves_a_memo_that_was_passed(task: Task) -> None:
    memo = task.memo(b"slow")
    task.wait(sleep("1s"))
    again(task)
    task.wait(sleep("1s"))
    task.log.keep_memo(memo, b"{}", task.log.state.invocation - 1)
    answer = task.log.memo(b"slow")
    assert isinstance(answer, MemoAnswer)
    assert answer.payload == b"{}"


def test_a_wait_that_was_passed_is_numbered_like_others(task: Task) -> None:
    late, early = task.wait(sleep("2s")), task.wait(sleep("1s"))
    again(task)
    task.wait(sleep("1s"))
    for node in (early, late):
        completion = task.log.satisfy(node, b"{}")
        assert completion is not None
    assert [task.order_of(early), task.order_of(late)] == [1, 2]
    assert isinstance(task.log.wait((sleep("2s"),)), WaitAnswer)


# Children


def test_an_index_that_was_counted_by_another_branch_starts_nothing_twice(task: Task) -> None:
    task.spawn(child(n=1, index=0))
    task.spawn(child(n=2, index=1))
    again(task)
    assert task.spawn(child(n=2, index=0)) == [(2, 2)]
    assert task.spawn(child(n=1, index=1)) == [(1, 1)]
    assert task.spawn(child(n=3, index=2)) == [(3, 3)]


def test_a_new_child_with_an_index_of_another_branch_is_started(task: Task) -> None:
    task.spawn(child(n=1, index=0))
    again(task)
    assert task.spawn(child(n=2, index=0)) == [(2, 2)]
    assert task.spawn(child(n=1, index=1)) == [(1, 1)]
    again(task)
    assert task.spawn(child(n=1, index=0)) == [(1, 1)]
    assert task.spawn(child(n=2, index=1)) == [(2, 2)]


def test_two_equal_children_of_branches_that_changed_places_stay_two(task: Task) -> None:
    task.spawn(child(n=1, index=0))
    task.spawn(child(n=7, index=1))
    task.spawn(child(n=7, index=2))
    again(task)
    runs = [task.spawn(child(n=7, index=at))[0] for at in (0, 1)]
    assert sorted(runs) == [(2, 2), (3, 3)]
    assert task.spawn(child(n=1, index=2)) == [(1, 1)]


def test_a_reused_index_of_a_program_that_keeps_its_order_is_refused(task: Task) -> None:
    task.spawn(child(n=1, index=0))
    task.spawn(child(n=2, index=1))
    task.log.add_rest((), may_change_places=False)
    assert task.refused(child(n=3, index=0)).node == Node(1, 1)


def test_keys_tell_equal_children_of_branches_apart(task: Task) -> None:
    task.spawn(child(key="a"))
    again(task)
    assert task.spawn(child(key="b")) == [(2, 2)]
    assert task.spawn(child(key="a")) == [(1, 1)]


def test_a_child_known_by_its_key_may_lie_ahead(task: Task) -> None:
    first = task.wait(sleep("1s"))
    task.spawn(child(key="a"))
    again(task)
    assert task.spawn(child(key="a")) == [(2, 1)]
    assert task.wait(sleep("1s")) == first


def test_a_refused_call_passes_nothing(task: Task) -> None:
    task.wait(sleep("1s"))
    task.spawn(child(n=1, index=0), child(n=2, index=1))
    task.again()
    task.refused(child(n=1, index=0), child(n=9, index=1))
    assert (task.log.state.node_id, task.log.state.passed) == (0, None)
    task.log.add_rest((), may_change_places=True)
    answer = task.log.spawn((child(n=1, index=0),), lambda: pytest.fail("it is known"))
    assert isinstance(answer, SpawnAnswer)


# What was made before completions were told


def reaches(*spans: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    state = LogState(2, node_id=9)
    state.fork(1, 6)
    return find_reaches([Span(*span) for span in spans], state)


def test_calls_reach_as_far_as_the_last_that_was_made_before_an_order() -> None:
    assert reaches() == []
    assert reaches((1, 0, 1, 2), (1, 3, 3, 5), (2, 4, 6, 8)) == [(0, 2), (3, 5), (4, 8)]


def test_a_call_behind_later_ones_counts_with_them() -> None:
    assert reaches((1, 0, 1, 5), (1, 2, 3, 4)) == [(0, 2), (2, 5)]


def test_calls_of_a_branch_that_was_left_reach_nowhere() -> None:
    assert reaches((1, 0, 1, 5), (1, 1, 6, 9), (2, 0, 6, 7)) == [(0, 7)]


def test_a_call_notes_what_its_invocation_was_told_of(task: Task) -> None:
    first = task.wait(sleep("1s"))
    task.log.satisfy(first, b"{}")
    known = [task.log.entries[task.wait(sleep("2s"))]]
    for told in (0, 1, 7):
        task.log.delivered_order = told
        known.append(task.log.entries[task.wait(sleep("2s"))])
    assert [entry.recorded_after for entry in known] == [1, 0, 1, 1]


# Who runs side by side


def mark(
    node_id: int,
    kind: DurableKind = DurableKind.WAIT_FOR,
    *,
    after: int = 0,
    order: int | None = None,
    at: float = 0.0,
    value_at: float | None = None,
) -> Mark:
    return Mark(
        Node(1, node_id),
        kind,
        kind is DurableKind.RUN and order is not None,
        after,
        order,
        START + timedelta(seconds=at),
        None if value_at is None else START + timedelta(seconds=value_at),
    )


def side_by_side(*marks: Mark, reached: int = 100) -> bool:
    return run_side_by_side(marks, LogState(2, node_id=reached))


def test_one_call_after_the_other_is_one_branch() -> None:
    memo = mark(2, DurableKind.MEMO, after=1, at=1, value_at=1.5)
    forgotten = mark(3, DurableKind.RUN, after=1, at=1.5)
    assert not side_by_side(
        mark(1, order=1), memo, forgotten, mark(4, after=1, order=2, at=2), mark(5, after=2, at=3)
    )


def test_a_call_made_while_another_is_waited_for_is_one_of_a_branch() -> None:
    assert side_by_side(mark(1, order=2), mark(2, order=1))
    assert side_by_side(mark(1), mark(2))
    assert side_by_side(mark(1, DurableKind.RUN, order=1), mark(2))


def test_a_call_made_while_a_memo_is_computed_is_one_of_a_branch() -> None:
    memo = DurableKind.MEMO
    assert side_by_side(mark(1, memo, value_at=2), mark(2, memo, at=1))
    assert side_by_side(mark(1, memo), mark(2, memo, at=1))
    assert not side_by_side(mark(1, memo, value_at=2), mark(2, memo, at=2))


def test_branches_that_begin_further_on_do_not_count() -> None:
    marks = mark(1, order=1), mark(2, after=1), mark(3, after=1)
    assert side_by_side(*marks, reached=2)
    assert not side_by_side(*marks, reached=1)


def test_what_other_branches_of_the_log_recorded_does_not_count() -> None:
    state = LogState(2, node_id=9)
    state.fork(1, 2)
    state.reach(9)
    marks = [mark(1, order=1), mark(2, after=0)]
    assert not run_side_by_side(marks, state)
