"""What a durable task's worker can be taken to have read, and what it is told again."""

from __future__ import annotations

from engine.domain.durable.delivery import CONFIRM_SECONDS, CROSSING_SECONDS, Invocation
from tests.unit.durable_delivery import ONE, TASK, THREE, TWO, complete, held_back, invocation, take


def test_a_lost_completion_is_sent_again() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1, 10.0) == [ONE]
    assert not known.wait(ONE, 10.0 + CROSSING_SECONDS / 2)
    assert known.wait(ONE, 10.0 + CROSSING_SECONDS)
    assert complete(known, ONE, 1, 12.0) == [ONE]


def test_a_completion_heard_of_twice_is_sent_once() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1) == [ONE]
    assert complete(known, ONE, 1) == []
    assert not known.wait(ONE, 0.1)


def test_a_repeated_call_gets_the_completion_again_at_once() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=True)
    known.wait(ONE, 0.0)
    assert complete(known, ONE, 1) == [ONE]
    known.acknowledge(ONE, needs_waiter=True)
    assert known.wait(ONE, 0.01)
    assert complete(known, ONE, 1) == [ONE]


def test_who_waits_again_for_what_arrived_gets_it_at_once() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=True)
    known.wait(ONE, 0.0)
    assert complete(known, ONE, 1) == [ONE]
    known.confirm(1)
    assert known.wait(ONE, 0.01)
    assert known.give_up(0.01) == [ONE]
    known.keep()
    assert complete(known, ONE, 1) == [ONE]


def test_a_child_that_two_calls_led_to_is_told_twice() -> None:
    known = invocation()
    for _ in range(2):
        known.acknowledge(ONE, needs_waiter=True)
    known.wait(ONE, 0.0)
    assert complete(known, ONE, 1) == [ONE]
    assert known.wait(ONE, 0.1)


def test_what_may_not_have_arrived_is_unconfirmed() -> None:
    known = invocation()
    for node in (ONE, TWO, THREE):
        known.acknowledge(node, needs_waiter=node == THREE)
    assert known.give_up(0.0) == [ONE, TWO]
    known.keep()
    complete(known, ONE, 1, 1.0)
    assert known.give_up(1_000.0) == [ONE, TWO]
    known.keep()
    complete(known, TWO, 2, 1.0)
    known.confirm(1)
    assert known.give_up(1.5) == [TWO]


def test_who_was_told_of_a_completion_goes_on_until_he_says_that_he_has_read_it() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False)
    assert not known.may_go_on(0.0)
    complete(known, ONE, 1)
    assert known.may_go_on(1.0)
    assert not known.is_waiting
    assert not known.may_go_on(CONFIRM_SECONDS)
    known.confirm(1)
    assert not known.may_go_on(1.0)


def test_what_was_told_before_is_not_confirmed_by_what_was_received_before() -> None:
    known = invocation()
    for _ in range(2):
        known.acknowledge(ONE, needs_waiter=True)
        known.wait(ONE, 0.0)
        assert complete(known, ONE, 1) == [ONE]
        known.confirm(1)
    assert known.may_go_on(1.0)


def test_who_asks_again_for_what_is_on_its_way_goes_on_when_it_comes() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False)
    complete(known, ONE, 1)
    assert known.wait(ONE, CROSSING_SECONDS)
    assert known.is_waiting
    assert known.may_go_on(CROSSING_SECONDS)


def test_who_computes_a_memo_does_not_wait() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False, is_memo=True)
    assert not known.is_waiting


def test_a_worker_that_gives_a_task_up_again_and_again_is_believed_to_have_read() -> None:
    for restored, seconds in ((1, 3.0), (2, 0.75), (9, 0.75)):
        known = invocation([(1, ONE)], restored=restored)
        known.acknowledge(ONE, needs_waiter=False)
        complete(known, ONE, 1, 1.0)
        assert known.give_up(0.9 + seconds) == [ONE]
        assert known.give_up(1.0 + seconds) == []


def test_a_worker_that_is_told_of_something_new_has_to_read_that_too() -> None:
    known = invocation(restored=9)
    known.acknowledge(ONE, needs_waiter=False)
    complete(known, ONE, 1, 1.0)
    assert known.give_up(1_000.0) == [ONE]


def test_what_a_worker_names_no_more_has_arrived() -> None:
    known = invocation()
    known.acknowledge(ONE, needs_waiter=False)
    complete(known, ONE, 1, 1.0)
    known.note_list([TWO], 1.5)
    assert known.give_up(1.5) == [ONE]
    known.note_list([ONE, TWO], 2.5)
    assert known.give_up(2.5) == [ONE]
    known.note_list([TWO], 3.5)
    assert known.give_up(3.5) == []


def test_what_was_asked_for_again_may_not_have_arrived() -> None:
    known = invocation([(1, ONE)], restored=9)
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1) == [ONE]
    assert not known.wait(ONE, 0.1)
    assert known.give_up(100.0) == [ONE]
    known.note_list((), 100.0)
    assert known.give_up(100.0) == []


def test_what_is_told_after_a_higher_order_may_not_have_arrived() -> None:
    known = held_back(restored=0)
    assert known.give_up_order(60.0)
    assert take(known, 60.0) == [TWO]
    known.confirm(2)
    known.acknowledge(ONE, needs_waiter=False)
    assert complete(known, ONE, 1, 61.0) == [ONE]
    assert known.give_up(62.0) == [ONE]


def test_a_delivery_was_told_of_what_was_sent_to_it() -> None:
    known = Invocation(TASK, 1)
    told = [known.delivered_order]
    known.open([(3, ONE)], 0)
    told.append(known.delivered_order)
    known.acknowledge(ONE, needs_waiter=False)
    complete(known, ONE, 3)
    assert [*told, known.delivered_order] == [None, 0, 3]


def test_what_a_delivery_was_told_of_on_another_stream_is_known_if_the_worker_says_it() -> None:
    known = invocation([(1, ONE), (2, TWO)], reached=2)
    before = known.delivered_order
    known.confirm(1)
    assert (before, known.delivered_order) == (None, 1)
