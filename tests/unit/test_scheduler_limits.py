"""Rate limits in the scheduler: nothing is given out twice, nobody stands in anybody's way, nobody starves."""

from __future__ import annotations

from uuid import UUID

from engine.domain.assignment import Claims, ReadyTask
from engine.domain.batches import BatchGroup, BatchPlace
from engine.domain.rate_limits import LimitClaim, LimitState
from tests.unit.limits import (
    ONE,
    SECOND,
    STEP,
    WORKER,
    brought,
    drained,
    one,
    scheduler,
    state,
    task,
)


def test_no_more_is_given_out_than_a_window_holds_and_the_next_goes_on() -> None:
    made = scheduler(k=state(2))
    made.enqueue([task(n, one()) for n in range(1, 6)])
    assert drained(made) == [1, 2]
    assert made.limits.next_at() == 1.0
    assert drained(made, 0.9) == []
    assert drained(made, 1.0) == [3, 4]
    assert drained(made, 2.0) == [5]
    assert made.limits.next_at() is None
    assert made.limits.room_count() == made.limits.parked_count() == 0


def test_a_refused_task_stands_in_nobodys_way() -> None:
    made = scheduler(k=state(0))
    made.enqueue([task(1, one()), task(2), task(3, one("other")), task(4, brought(1, "mine"))])
    assert drained(made) == [2, 4]
    assert [str(found.refusal) for found in made.limits.take_refused()] == [
        'Rate limit "k": 1 wanted, 0 of 0 left in this second.',
        'Rate limit "other" has not been set.',
    ]


def test_that_an_attempt_waits_is_told_once() -> None:
    made = scheduler(k=state(1))
    made.enqueue([task(1, one()), task(2, one()), task(3, one())])
    drained(made)
    assert [found.task.id.int for found in made.limits.take_refused()] == [2, 3]
    made.enqueue([task(4, one(), priority=3)])
    assert drained(made, 1.0) == [4]
    assert [found.task.id.int for found in made.limits.take_refused()] == []
    made.withdraw(UUID(int=3), 0)
    made.enqueue([task(3, one(), retry_count=1)])
    drained(made, 1.5)
    assert [found.task.retry_count for found in made.limits.take_refused()] == [1]


def test_all_units_or_none() -> None:
    made = scheduler(k=state(5), m=state(1, 0))
    made.enqueue([task(1, one("k", 5), one("m")), task(2, one("k", 5))])
    assert drained(made) == [2]
    assert drained(made, 1.0) == [1]


def test_units_nobody_can_use_go_to_the_next_who_waits() -> None:
    made = scheduler(k=state(2, 0), m=state(1, 0, paused_until=9.0))
    made.enqueue([task(1, one("k"), one("m")), task(2, one("k")), task(3, one("k"))])
    assert drained(made) == []
    assert drained(made, 1.0) == [2, 3]
    assert drained(made, 9.0) == [1]


def test_one_who_wants_more_than_is_left_lets_others_pass_and_is_first_in_the_next_window() -> None:
    made = scheduler(k=state(5, 3))
    made.enqueue([task(1, one(units=5)), *(task(n, one()) for n in range(2, 9))])
    assert drained(made) == [2, 3, 4]
    assert drained(made, 1.0) == [1]
    assert drained(made, 2.0) == [5, 6, 7, 8]


def test_one_who_wants_more_than_there_ever_is_waits_for_a_new_limit_alone() -> None:
    made = scheduler(k=state(2))
    made.enqueue([task(1, one(units=3)), task(2, one())])
    assert drained(made) == [2]
    assert made.limits.next_at() is None
    made.limits.set("k", LimitState(3, SECOND, 3, 5.0))
    assert drained(made, 5.0) == [1]


def test_one_who_wants_more_than_there_ever_is_keeps_nobody_waiting() -> None:
    made = scheduler(k=state(2, 0))
    made.enqueue([task(1, one(units=3)), task(2, one()), task(3, one(units=3)), task(4, one())])
    assert drained(made) == []
    assert drained(made, 1.0) == [2, 4]


def test_units_of_what_was_not_written_are_given_back() -> None:
    made = scheduler(k=state(1))
    made.enqueue([task(1, one()), task(2, one())])
    (assignment,) = made.drain(0.0)
    assert drained(made) == []
    made.withdraw(assignment.task.id, 0)
    made.limits.give_back(assignment.taken[assignment.task.id])
    assert drained(made) == [2]


def test_what_is_given_back_after_its_window_changes_nothing() -> None:
    made = scheduler(k=state(1))
    made.enqueue([task(1, one()), task(2, one()), task(3, one())])
    (assignment,) = made.drain(0.0)
    assert drained(made, 1.0) == [2]
    made.limits.give_back(assignment.taken[assignment.task.id])
    assert drained(made, 1.5) == []


def test_every_attempt_takes_units() -> None:
    made = scheduler(k=state(2))
    made.enqueue([task(1, one())])
    assert drained(made) == [1]
    made.withdraw(UUID(int=1), 0)
    made.enqueue([task(1, one(), retry_count=1)])
    assert drained(made) == [1]
    made.withdraw(UUID(int=1), 1)
    made.enqueue([task(1, one(), retry_count=2)])
    assert drained(made) == []


def test_a_new_task_waits_for_those_who_wait_and_takes_units_like_them() -> None:
    made = scheduler(k=state(2))
    assert [a.task.id.int for a in made.offer([task(n, one()) for n in (1, 2, 3)], 0.0)] == [1, 2]
    made.enqueue([task(3, one())])
    assert drained(made) == []
    assert made.offer([task(4, one())], 1.0) == []
    assert drained(made, 1.0) == [3]
    assert [a.task.id.int for a in made.offer([task(4, one())], 1.0)] == [4]


def test_a_limit_set_again_is_never_refilled_by_that() -> None:
    made = scheduler(k=state(3))
    made.enqueue([task(n, one()) for n in range(1, 9)])
    assert drained(made) == [1, 2, 3]
    made.limits.set("k", state(5, 3))
    assert drained(made, 0.5) == []
    assert drained(made, 1.0) == [4, 5, 6, 7, 8]


def test_a_limit_set_or_resumed_calls_those_who_wait_for_it() -> None:
    made = scheduler(paused=state(1, paused_until=50.0))
    made.enqueue([task(1, one()), task(2, one("paused"))])
    assert drained(made) == []
    made.limits.set("k", state(1))
    assert drained(made) == [1]
    assert made.limits.next_at() == 50.0
    assert drained(made, 50.0) == [2]


def test_a_deleted_limit_is_as_if_it_had_never_been() -> None:
    made = scheduler(k=state(1))
    made.enqueue(
        [task(1, one()), task(2, one()), task(3, brought(1, "mine")), task(4, brought(1, "mine"))]
    )
    assert drained(made) == [1, 3]
    made.limits.unset("k")
    made.limits.unset("mine")
    assert drained(made, 0.5) == [4]
    assert drained(made, 5.0) == []


def test_a_worker_who_is_away_keeps_no_units_from_other_actions() -> None:
    made = scheduler(k=state(1, 0))
    made.enqueue([task(1, one(), action_id="gone")])
    made.workers.upsert(
        UUID(int=101),
        actions=frozenset({"gone"}),
        slots=ONE,
        is_active=True,
        is_paused=False,
        last_heartbeat=0.0,
    )
    made.enqueue([task(2, one())])
    assert drained(made) == []
    made.workers.remove(UUID(int=101))
    assert drained(made, 1.0) == [2]


def test_forgotten_waiters_leave_nothing_behind() -> None:
    made = scheduler(k=state(0))
    made.enqueue([task(n, one()) for n in range(1, 5)])
    drained(made)
    for number in range(1, 5):
        made.discard(UUID(int=number))
    assert made.limits.room_count() == made.limits.parked_count() == made.waiting_count() == 0
    assert made.limits.next_at() is None


def test_limits_that_tasks_brought_along_are_forgotten_when_nobody_uses_them() -> None:
    made = scheduler(k=state(1))
    made.enqueue([task(1, brought(1, "mine"))])
    drained(made)
    made.limits.forget_idle(3_600.0)
    assert made.limits.state("mine")
    made.limits.forget_idle(100_000.0)
    assert made.limits.state("mine") is None
    assert made.limits.state("k")


def item(number: int, *limits: LimitClaim) -> ReadyTask:
    """A task that runs in batches of two."""
    place = BatchPlace(BatchGroup(STEP, "", 2, 5.0, 9), 10)
    return task(number, *limits)._replace(claims=Claims((), 1, 0, batch=place))


def test_items_of_a_batch_take_their_units_before_they_enter_its_buffer() -> None:
    made = scheduler(k=state(3))
    made.enqueue([item(n, one()) for n in range(1, 6)])
    (first,) = made.drain(0.0)
    assert [found.id.int for found in first.tasks] == [1, 2]
    assert {key.int for key in first.taken} == {1, 2}
    left = made.limits.state("k")
    assert left is not None
    assert left.value == 0
    assert made.limits.parked_count() == 2
    assert made.limits.next_at() == 1.0
    made.workers.record_heartbeat(WORKER, 1.0)
    (second,) = made.drain(1.0)
    assert [found.id.int for found in second.tasks] == [3, 4]


def test_an_item_that_leaves_its_buffer_gives_its_units_back() -> None:
    made = scheduler(k=state(1))
    made.enqueue([item(1, one()), item(2, one())])
    assert drained(made) == []
    made.withdraw(UUID(int=1), 0)
    drained(made)
    assert made.limits.parked_count() == 0
