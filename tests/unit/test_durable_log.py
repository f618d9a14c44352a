"""The log of a durable task: who gets which node, what counts as the same call, who is told when."""

from __future__ import annotations

from uuid import uuid4

import pytest

from engine.domain.durable import identity as identities
from engine.domain.durable.calls import (
    MemoAnswer,
    Mismatch,
    Node,
    Stored,
    Unknown,
    WaitAnswer,
    WaitCondition,
)
from engine.domain.durable.log import Incomplete
from engine.domain.durable.state import Entry, Fork, LogState
from engine.errors import InvalidArgument
from engine.states import ConditionKind, DurableKind
from tests.unit.durable_task import TASK, Task, child, event, sleep


@pytest.fixture
def task() -> Task:
    return Task()


# Places


def test_calls_take_nodes_from_one_and_children_one_each(task: Task) -> None:
    assert task.memo() == Node(1, 1)
    assert task.spawn(child(index=0), child(index=1)) == [(2, 1), (3, 2)]
    assert task.wait(sleep()) == Node(1, 4)
    task.again()
    assert task.memo() == Node(1, 1)
    assert task.spawn(child(index=0), child(index=1)) == [(2, 1), (3, 2)]
    assert task.wait(sleep()) == Node(1, 4)
    assert task.log.created == []


def test_two_memos_with_one_key_are_told_apart_by_their_places(task: Task) -> None:
    first, second = task.memo(), task.memo()
    task.log.keep_memo(first, b'{"at":1}', 1)
    task.log.keep_memo(second, b'{"at":2}', 1)
    task.again()
    assert task.log.memo(b"k") == MemoAnswer(first, True, b'{"at":1}')
    assert task.log.memo(b"k") == MemoAnswer(second, True, b'{"at":2}')


def test_the_node_counter_never_moves_back(task: Task) -> None:
    task.spawn(child(key="a", index=0), child(key="b", index=1))
    assert task.spawn(child(key="a", index=2, n=9)) == [(1, 1)]
    assert task.wait(sleep()) == Node(1, 3)


# Identity


def test_random_groups_scopes_and_labels_do_not_make_a_wait_another(task: Task) -> None:
    group, other = uuid4(), uuid4()
    task.log.wait([sleep(group=group), event("e", group, scope="a")], "one")
    task.again()
    task.log.add_rest((), may_change_places=False)
    answer = task.log.wait([event("e", other), sleep(group=other)], "two")
    assert answer == WaitAnswer(Node(1, 1))


@pytest.mark.parametrize(
    "changed",
    [
        sleep("6s", data_key="k"),
        sleep("5s", data_key="other"),
        sleep("5s", data_key="k", expression="true"),
        WaitCondition(ConditionKind.EVENT, uuid4(), "5s", "k"),
    ],
)
def test_what_is_waited_for_makes_a_wait_another(task: Task, changed: WaitCondition) -> None:
    task.wait(sleep("5s", data_key="k"))
    task.again()
    assert isinstance(task.log.wait([changed]), Incomplete)
    task.load_rest()
    assert isinstance(task.log.wait([changed]), Mismatch)
    assert task.log.state.node_id == 0
    assert task.wait(sleep("5s", data_key="k")) == Node(1, 1)


def test_kind_key_workflow_and_input_make_a_call_another(task: Task) -> None:
    task.memo(b"a")
    task.spawn(child("x", n=1))
    task.again()
    task.load_rest()
    assert isinstance(task.log.memo(b"b"), Mismatch)
    assert task.refused(child("x", n=1)).node == Node(1, 1)
    for other in (child("y", n=1), child("x", n=2)):
        task.again()
        task.memo(b"a")
        assert task.refused(other).node == Node(1, 2)


def test_a_mismatch_names_both_calls(task: Task) -> None:
    group = uuid4()
    task.wait(event("paid", group), sleep("1h", group), sleep("5s"))
    task.again()
    assert task.refused(child("sum")).message == (
        f"non-determinism error in task {TASK} at node 1:1\n"
        "  expected: any of: event(paid), sleep(1h) and sleep(5s)\n"
        "  received: run(sum)"
    )
    mismatch = task.log.memo(b"x")
    assert isinstance(mismatch, Mismatch)
    assert mismatch.message.endswith("received: memo")


def test_descriptions_are_bounded() -> None:
    many = [event("k" * 5_000) for _ in range(500)]
    assert len(identities.describe_wait(many)) <= 1_000
    assert len(identities.describe_run("n" * 5_000)) <= 210


# Children


def test_of_equal_keys_in_one_call_the_later_ones_are_the_first(task: Task) -> None:
    assert task.spawn(child(key="a", n=1), child(key="a", n=2), child(key="b")) == [
        (1, 1),
        (1, 1),
        (2, 2),
    ]
    assert len(task.log.created) == 2


def test_a_known_index_is_checked_and_a_known_key_is_not(task: Task) -> None:
    task.spawn(child(index=0, n=1), child(key="a", index=1, n=1))
    assert task.refused(child(index=0, n=2)).node == Node(1, 1)
    assert task.refused(child("other", index=0, n=1)).node == Node(1, 1)
    assert task.spawn(child(key="a", index=9, n=2)) == [(2, 2)]
    assert task.spawn(child(index=0, n=1)) == [(1, 1)]


def test_an_index_counted_on_over_a_restart_finds_its_child_by_place(task: Task) -> None:
    task.spawn(child(index=0))
    task.again()
    assert task.spawn(child(index=1)) == [(1, 1)]


def test_a_call_with_one_wrong_child_writes_nothing(task: Task) -> None:
    task.spawn(child(index=0, n=1))
    assert task.refused(child(index=5), child(index=0, n=2)).node == Node(1, 1)
    assert [entry.node.node_id for entry in task.log.entries.values()] == [1]
    assert task.spawn(child(index=5)) == [(2, 3)]


def test_answers_are_in_the_order_of_the_call(task: Task) -> None:
    task.spawn(child(key="a"))
    assert task.spawn(child(key="b"), child(key="a"), child(key="c")) == [(2, 2), (1, 1), (3, 3)]


def test_long_keys_are_kept_short_and_apart() -> None:
    keys = {identities.dedupe_key("x" * 5_000 + end, 0) for end in "ab"}
    assert len(keys) == 2
    assert all(key and len(key) < 100 for key in keys)
    assert identities.dedupe_key("", 3) == "i:3"
    assert identities.dedupe_key(None, None) is None


# Outcomes and their order


def test_waits_are_numbered_as_they_end(task: Task) -> None:
    first, second = task.wait(sleep()), task.wait(event("e"))
    told = task.log.satisfy(second, b"{}")
    assert told is not None
    assert (told.order, told.invocation) == (1, 1)
    assert task.log.satisfy(first, b"{}") is not None
    assert task.log.satisfy(first, b"other") is None
    assert [task.order_of(node) for node in (first, second)] == [2, 1]
    assert task.log.entries[first].result == b"{}"


def test_a_child_is_numbered_when_it_has_ended_and_is_awaited(task: Task) -> None:
    task.spawn(child(index=0), child(index=1), child(index=2))
    first, second, third = (Node(1, n) for n in (1, 2, 3))
    assert task.log.satisfy(first, b"{}") is None
    task.log.await_node(second)
    assert task.order_of(second) is None
    assert task.log.satisfy(second, b"{}", "broken") is not None
    task.log.await_node(first)
    assert [task.order_of(node) for node in (first, second, third)] == [2, 1, None]


def test_memos_have_no_number_and_are_told_only_as_objects(task: Task) -> None:
    first, second = task.memo(), task.memo()
    assert task.log.keep_memo(first, b'"text"', 1) == Stored()
    assert task.log.keep_memo(second, b'{"a":1}', 1) == Stored()
    told = [task.log.completion(node) for node in (first, second)]
    assert [(t.order, t.payload) for t in told if t] == [(None, b""), (None, b'{"a":1}')]
    task.again()
    assert task.log.memo(b"k") == MemoAnswer(first, True, b'"text"')


def test_a_value_that_comes_late_does_not_replace_what_the_present_invocation_computes(
    task: Task,
) -> None:
    node = task.memo()
    task.again()
    assert task.log.memo(b"k") == MemoAnswer(node, True)
    assert task.log.keep_memo(node, b'{"at":1}', 1) == Stored()
    assert task.log.keep_memo(node, b'{"at":2}', 2) == Stored()
    task.again()
    assert task.log.memo(b"k") == MemoAnswer(node, True, b'{"at":2}')


def test_a_value_that_comes_late_serves_an_invocation_that_has_not_asked_yet(task: Task) -> None:
    node = task.memo()
    task.again()
    task.log.keep_memo(node, b'{"at":1}', 1)
    assert task.log.memo(b"k") == MemoAnswer(node, True, b'{"at":1}')


def test_only_memos_take_values(task: Task) -> None:
    node = task.wait(sleep())
    assert task.log.keep_memo(node, b"{}", 1) == Unknown()
    assert task.log.keep_memo(Node(1, 99), b"{}", 1) == Unknown()


def test_a_completion_names_the_present_invocation(task: Task) -> None:
    node = task.wait(sleep())
    task.again()
    told = task.log.satisfy(node, b"{}")
    assert told is not None
    assert told.invocation == 2


# Branches


def test_a_node_belongs_to_the_nearest_branch_that_has_it() -> None:
    state = LogState(branch_id=3, forks=(Fork(1, 4), Fork(2, 6)))
    assert [state.branch_of(node) for node in range(1, 8)] == [1, 1, 1, 2, 2, 3, 3]
    state = LogState(branch_id=3, forks=(Fork(1, 6), Fork(2, 3)))
    assert [state.branch_of(node) for node in range(1, 8)] == [1, 1, 3, 3, 3, 3, 3]
    state = LogState(branch_id=3, forks=(Fork(1, 4), Fork(1, 2)))
    assert [state.branch_of(node) for node in range(1, 5)] == [1, 3, 3, 3]


def test_the_pieces_ahead_cover_every_next_node_once() -> None:
    for forks in ((), (Fork(1, 4),), (Fork(1, 4), Fork(2, 6)), (Fork(1, 6), Fork(2, 3))):
        state = LogState(branch_id=len(forks) + 1, node_id=1, forks=forks)
        covered = [
            (branch, node)
            for branch, first, last in state.ahead(1, 8)
            for node in range(first, last + 1)
        ]
        assert covered == [(state.branch_of(node), node) for node in range(2, 10)]
        assert state.ahead(1, 0) == []


def test_a_branch_keeps_what_lies_before_it_and_makes_the_rest_anew(task: Task) -> None:
    nodes = [task.wait(sleep(text)) for text in ("1s", "2s", "3s")]
    for node in nodes:
        task.log.satisfy(node, b"{}")
    task.fork(1, 2)
    assert [task.wait(sleep(text)) for text in ("1s", "2s", "3s")] == [
        Node(1, 1),
        Node(2, 2),
        Node(2, 3),
    ]
    told = task.log.satisfy(Node(2, 2), b"{}")
    assert told is not None
    assert told.order == 4


def test_nothing_of_an_abandoned_branch_is_told_or_numbered(task: Task) -> None:
    node = task.wait(sleep())
    task.fork(1, 1)
    assert task.log.satisfy(node, b"{}") is None
    assert task.order_of(node) is None
    task.fork(1, 2)
    task.log.await_node(node)
    told = task.log.completion(node)
    assert told is not None
    assert told.order == 1


def test_children_of_an_abandoned_branch_are_started_anew(task: Task) -> None:
    assert task.spawn(child(key="a")) == [(1, 1)]
    task.fork(1, 1)
    assert task.spawn(child(key="a")) == [(1, 2)]
    task.fork(1, 2)
    assert task.spawn(child(key="a")) == [(1, 1)]


def test_branch_zero_is_the_branch_a_task_is_on() -> None:
    state = LogState()
    assert (state.fork(0, 3), state.fork(0, 2)) == (2, 3)
    assert [fork.parent_id for fork in state.forks] == [1, 2]


@pytest.mark.parametrize(("branch", "node"), [(2, 1), (1, 0), (-1, 1), (0, 0)])
def test_a_fork_of_nothing_is_refused(branch: int, node: int) -> None:
    with pytest.raises(InvalidArgument):
        LogState().fork(branch, node)


def test_an_entry_of_a_signal_is_told_by_its_key(task: Task) -> None:
    node = task.log.register("key", [sleep()])
    assert node == Node(0, 1)
    assert task.log.register("key", [sleep("9s")]) is None
    assert task.log.register("other", [sleep()]) == Node(0, 2)
    told = task.log.satisfy(node, b"{}")
    assert told is not None
    assert (told.signal, told.order, told.kind) == ("key", None, DurableKind.WAIT_FOR)
    assert isinstance(task.log.entries[node], Entry)
