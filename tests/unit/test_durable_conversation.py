"""When a durable task's worker may be told of completions, and in which order."""

from __future__ import annotations

import itertools
import random

import pytest

from engine.domain.durable.calls import Node
from engine.domain.durable.delivery import QUIET_SECONDS, STALL_SECONDS, Invocation
from tests.unit.durable_delivery import (
    ONE,
    TASK,
    THREE,
    TWO,
    complete,
    done,
    held_back,
    invocation,
    take,
)


def test_what_was_not_acknowledged_is_not_completed() -> None:
    known = invocation()
    assert complete(known, ONE, 1) == []
    known.acknowledge(ONE, needs_waiter=False)
    assert take(known) == [ONE]


def test_a_child_is_completed_when_somebody_waits_for_it() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=True)
    assert known.wanted() == []
    assert complete(known, ONE, 1) == []
    assert not known.wait(ONE, 0.0)
    assert take(known) == [ONE]


def test_an_awaited_child_is_to_be_looked_up_once() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=True)
    assert known.wait(ONE, 0.0)
    assert not known.wait(ONE, 5.0)
    assert known.wanted() == [ONE]
    assert complete(known, ONE, 1) == [ONE]
    assert known.wanted() == []


def test_a_child_nobody_waits_for_holds_nothing_back() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=True)
    known.acknowledge(TWO, needs_waiter=False)
    assert complete(known, TWO, 1) == [TWO]


def test_completions_come_again_in_their_recorded_order() -> None:
    known = invocation([(1, TWO), (2, ONE)])
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 2) == []
    known.acknowledge(TWO, needs_waiter=False)
    assert complete(known, TWO, 1) == [TWO, ONE]


def test_recorded_orders_may_have_gaps() -> None:
    known = invocation([(2, ONE), (5, TWO)])
    known.acknowledge(ONE, needs_waiter=False)
    known.acknowledge(TWO, needs_waiter=False)
    assert complete(known, TWO, 5) == []
    assert complete(known, ONE, 2) == [ONE, TWO]


def test_calls_that_were_made_before_a_completion_are_made_again_before_it() -> None:
    known = Invocation(TASK, 2)
    known.open([(1, ONE), (2, TWO)], reached=0, reaches=[(0, 2), (1, 3)])
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1) == []
    known.acknowledge(TWO, needs_waiter=False)
    assert take(known) == [ONE]
    assert complete(known, TWO, 2) == []
    known.acknowledge(THREE, needs_waiter=True)
    assert take(known) == [TWO]


def test_what_completes_during_a_replay_waits_for_all_calls_that_were_made_before() -> None:
    known = Invocation(TASK, 2)
    known.open([], reached=0, reaches=[(0, 3)])
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1) == []
    for node in (TWO, THREE):
        known.acknowledge(node, needs_waiter=True)
    assert take(known) == [ONE]


def test_calls_that_are_not_made_again_do_not_hold_completions_back_for_ever() -> None:
    known = Invocation(TASK, 2)
    known.open([(1, ONE)], reached=0, reaches=[(0, 2)])
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1) == []
    assert known.give_up_order(60.0)
    assert take(known, 60.0) == [ONE]


def test_orders_of_branches_that_were_left_are_not_waited_for() -> None:
    known = Invocation(TASK, 2)
    known.open([(1, ONE)], reached=0, given=4)
    for node in (ONE, TWO):
        known.acknowledge(node, needs_waiter=False)
    assert complete(known, TWO, 5) == []
    assert complete(known, ONE, 1) == [ONE, TWO]


def test_new_orders_have_no_gaps_whatever_is_heard_of_first() -> None:
    known = invocation([(1, ONE)], reached=1, received=1)
    known.acknowledge(TWO, needs_waiter=False)
    known.acknowledge(THREE, needs_waiter=False)
    assert complete(known, THREE, 3) == []
    assert complete(known, TWO, 2) == [TWO, THREE]


def test_memos_wait_for_nothing() -> None:
    known = invocation([(1, ONE)])
    known.acknowledge(TWO, needs_waiter=False)
    assert complete(known, TWO, None) == [TWO]


def test_what_comes_before_the_log_was_read_is_kept() -> None:
    known = Invocation(TASK, 1)
    assert complete(known, TWO, 2) == []
    known.open([(1, ONE), (2, TWO)], reached=0)
    known.acknowledge(TWO, needs_waiter=False)
    assert take(known) == []
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1) == [ONE, TWO]


def test_what_the_worker_received_before_it_came_back_is_not_waited_for() -> None:
    known = invocation([(1, ONE), (2, TWO)], reached=3, received=1)
    assert known.wait(THREE, 0.0)
    assert complete(known, THREE, 3) == []
    assert known.wait(TWO, 0.0)
    assert complete(known, TWO, 2) == [TWO, THREE]


def test_a_worker_that_does_not_say_what_it_received_gets_what_it_waits_for() -> None:
    known = invocation([(1, ONE), (2, TWO)], reached=2)
    known.acknowledge(THREE, needs_waiter=False)
    assert known.wait(TWO, 0.0)
    assert complete(known, THREE, 3) == []
    assert complete(known, TWO, 2) == [TWO, THREE]


def test_an_order_that_never_comes_is_given_up() -> None:
    known = invocation([(1, ONE), (2, TWO), (3, THREE)])
    known.acknowledge(TWO, needs_waiter=False)
    assert complete(known, TWO, 2) == []
    assert not known.give_up_order(59.0)
    assert known.give_up_order(60.0)
    assert take(known, 60.0) == [TWO]
    known.acknowledge(THREE, needs_waiter=False)
    assert complete(known, THREE, 3, 60.0) == [THREE]


def test_nothing_is_sent_while_a_delivery_is_evicted() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False)
    assert known.give_up(0.0) == [ONE]
    assert complete(known, ONE, 1) == []
    known.keep()
    assert take(known) == [ONE]


@pytest.mark.parametrize("seed", range(100))
def test_every_awaited_completion_arrives_once_and_in_order(seed: int) -> None:
    """Whatever the order in which a replay meets its nodes, and in which their outcomes are heard of."""
    dice = random.Random(seed)
    count = dice.randint(1, 12)
    places = [Node(1, number) for number in range(1, count + 1)]
    orders = dict(zip(places, dice.sample(range(1, 20), count), strict=True))
    children = {node for node in places if dice.random() < 0.5}
    known = invocation([(order, node) for node, order in orders.items()])
    steps = [("meet", node) for node in places] + [("wait", node) for node in children]
    dice.shuffle(steps)
    steps.sort(key=lambda step: (step[1].node_id // 3, step[0] == "wait"))
    met: set[Node] = set()
    sent: list[Node] = []
    for clock, (what, node) in zip(itertools.count(), steps, strict=False):
        if what == "meet":
            known.acknowledge(node, needs_waiter=node in children)
            met.add(node)
        else:
            known.wait(node, float(clock))
        for _ in range(dice.randint(0, 3)):
            heard = dice.choice(places)
            known.complete(done(heard, orders[heard]))
        sent += take(known, float(clock))
        assert set(sent) <= met
    for node in places:
        known.complete(done(node, orders[node]))
    sent += take(known, 100.0)
    assert sent == sorted(places, key=orders.__getitem__)
    assert not known.is_holding


# Branches side by side


def test_a_completion_waits_for_calls_that_were_passed() -> None:
    known = Invocation(TASK, 2)
    known.open([(1, ONE), (2, TWO)], 0, reaches=[(0, 3)])
    known.acknowledge(ONE, needs_waiter=False)
    known.acknowledge(THREE, needs_waiter=False)
    assert complete(known, ONE, 1) == []
    known.acknowledge(TWO, needs_waiter=False)
    assert take(known) == [ONE]


def test_a_new_stream_knows_which_calls_were_passed() -> None:
    known = Invocation(TASK, 2)
    known.open([(1, THREE)], 3, reaches=[(0, 3)], passed=[2])
    known.wait(THREE, 0.0)
    assert complete(known, THREE, 1) == []
    known.acknowledge(TWO, needs_waiter=False)
    assert take(known) == [THREE]


def test_a_replay_is_told_of_a_wait_when_the_worker_says_that_it_waits() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False, is_unacknowledged=True)
    assert complete(known, ONE, 1) == []
    assert not known.wait(ONE, 0.0)
    assert take(known) == [ONE]


def test_a_worker_that_says_nothing_is_told_all_the_same() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False, is_unacknowledged=True)
    assert complete(known, ONE, 1) == []
    known.stop_awaiting_acknowledgement(ONE)
    assert take(known) == [ONE]


def test_a_call_made_while_the_worker_waits_is_one_of_a_branch() -> None:
    known = invocation()
    assert not known.note_call()
    known.acknowledge(ONE, needs_waiter=False)
    complete(known, ONE, 1)
    assert not known.note_call()
    known.acknowledge(TWO, needs_waiter=True)
    assert not known.note_call()
    known.acknowledge(THREE, needs_waiter=False)
    assert known.note_call()
    complete(known, THREE, 2)
    assert known.note_call()


def test_a_completion_does_not_wait_for_calls_that_come_only_after_it() -> None:
    known = Invocation(TASK, 2)
    known.open([(1, ONE)], 0, reaches=[(0, 2)])
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1, 5.0) == []
    assert known.pause(5.0) == QUIET_SECONDS
    assert take(known, 5.0 + QUIET_SECONDS) == [ONE]
    assert known.pause(5.0 + QUIET_SECONDS) is None


# Orders that nobody asks for


def test_the_more_often_a_delivery_was_given_up_the_shorter_it_holds_back() -> None:
    for restored, seconds in enumerate(STALL_SECONDS):
        known = held_back(restored)
        assert known.pause(0.0) == (seconds if restored else None)
        assert not known.give_up_order(seconds - 0.1)
        assert known.give_up_order(seconds)
        assert take(known, seconds) == [TWO]


def test_in_the_end_nothing_is_held_back_however_soon_a_worker_gives_up() -> None:
    known = held_back(restored=1_000)
    assert known.give_up_order(0.0)
    assert take(known) == [TWO]
    known = Invocation(TASK, 2)
    known.open([(1, ONE)], 0, reaches=[(0, 2)], restored=1_000)
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1) == [ONE]


def test_what_comes_while_a_call_is_recorded_is_told_after_its_answer() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False)
    known.is_called = True
    assert complete(known, ONE, 1) == []
    known.acknowledge(TWO, needs_waiter=False)
    assert take(known) == [ONE]
