"""A task in its back-off gives up its slots, not its age and its having begun."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.domain.assignment import Claim, ReadyTask
from engine.domain.scheduler.machine import TenantScheduler
from engine.states import ConcurrencyStrategy
from tests.unit.groups import (
    EXCEPT_NEWEST,
    EXCEPT_OLDEST,
    IN_PROGRESS,
    NEWEST,
    ROUND_ROBIN,
    claim,
    scheduler_with_worker,
    task,
)


def started(scheduler: TenantScheduler) -> list[int]:
    return [assignment.task.id.int for assignment in scheduler.drain(0.0)]


def cancelled(scheduler: TenantScheduler) -> list[int]:
    return [each.id.int for each in scheduler.take_cancelled()]


def rest(scheduler: TenantScheduler, number: int, *chain: Claim) -> ReadyTask:
    """Have a running task fail; return what arrives when its back-off has ended."""
    again = task(number, *chain, retry_count=1, priority=4)._replace(has_begun=True)
    scheduler.withdraw(again.id, 0)
    scheduler.enqueue([again._replace(is_resting=True)])
    return again


def begin(scheduler: TenantScheduler, number: int, *chain: Claim) -> None:
    scheduler.enqueue([task(number, *chain)])
    assert started(scheduler) == [number]


@pytest.mark.parametrize("strategy", [ROUND_ROBIN, NEWEST, EXCEPT_NEWEST, EXCEPT_OLDEST])
def test_it_gives_up_its_slot_and_waits_for_the_next_one(strategy: ConcurrencyStrategy) -> None:
    scheduler, only = scheduler_with_worker(9), claim(strategy=strategy)
    begin(scheduler, 1, only)
    again = rest(scheduler, 1, only)
    begin(scheduler, 2, only)
    scheduler.enqueue([again])
    assert started(scheduler) == []
    assert cancelled(scheduler) == []
    scheduler.enqueue([task(3, only), task(4, only)])
    assert started(scheduler) == []
    assert cancelled(scheduler) == {NEWEST: [3, 4], EXCEPT_NEWEST: [3], EXCEPT_OLDEST: [4]}.get(
        strategy, []
    )
    scheduler.withdraw(UUID(int=2), 0)
    assert started(scheduler) == [1]
    assert cancelled(scheduler) == []


def test_its_successor_outdoes_it_while_it_rests() -> None:
    scheduler, only = scheduler_with_worker(9), claim(strategy=IN_PROGRESS)
    begin(scheduler, 1, only)
    again = rest(scheduler, 1, only)
    begin(scheduler, 2, only)
    assert cancelled(scheduler) == [1]
    scheduler.withdraw(UUID(int=2), 0)
    scheduler.enqueue([again])
    assert started(scheduler) == []
    scheduler.withdraw(again.id, 1)
    assert started(scheduler) == []
    assert scheduler.groups.group_count() == 0


def test_a_successor_that_would_start_at_once_outdoes_it_too() -> None:
    scheduler, only = scheduler_with_worker(9), claim(strategy=IN_PROGRESS)
    begin(scheduler, 1, only)
    rest(scheduler, 1, only)
    scheduler.drain(0.0)
    assert scheduler.offer([task(2, only)], 0.0) == []
    begin(scheduler, 2, only)
    assert cancelled(scheduler) == [1]


def test_it_counts_among_those_of_which_the_newest_stay() -> None:
    scheduler, two = scheduler_with_worker(9), claim(max_runs=2, strategy=IN_PROGRESS)
    begin(scheduler, 1, two)
    begin(scheduler, 2, two)
    again = rest(scheduler, 2, two)
    scheduler.enqueue([task(3, two)])
    assert started(scheduler) == [3]
    assert cancelled(scheduler) == [1]
    scheduler.withdraw(UUID(int=1), 0)
    scheduler.enqueue([again])
    assert started(scheduler) == [2]


def test_a_replay_of_it_arrives_as_the_newest() -> None:
    scheduler, only = scheduler_with_worker(9), claim(strategy=IN_PROGRESS)
    begin(scheduler, 2, only)
    scheduler.enqueue([task(1, only, retry_count=1, priority=4, arrival=9)])
    assert started(scheduler) == []
    assert cancelled(scheduler) == [2]


@pytest.mark.parametrize("strategy", [NEWEST, EXCEPT_OLDEST])
def test_a_replay_has_not_begun(strategy: ConcurrencyStrategy) -> None:
    scheduler, only = scheduler_with_worker(9), claim(strategy=strategy)
    begin(scheduler, 2, only)
    scheduler.enqueue([task(3, only)])
    scheduler.drain(0.0)
    scheduler.take_cancelled()
    scheduler.enqueue([task(1, only, retry_count=1, priority=4, arrival=9)])
    assert started(scheduler) == []
    assert cancelled(scheduler) == [1]


def test_who_begins_anew_before_the_slot_is_given_away_keeps_it() -> None:
    scheduler, only = scheduler_with_worker(9), claim(strategy=NEWEST)
    begin(scheduler, 1, only)
    scheduler.withdraw(UUID(int=1), 0)
    scheduler.enqueue([task(1, only, retry_count=1, priority=4)._replace(has_begun=True)])
    scheduler.enqueue([task(2, only)])
    assert started(scheduler) == [1]
    assert cancelled(scheduler) == [2]


def test_a_new_owner_knows_who_rests() -> None:
    scheduler, only = scheduler_with_worker(9), claim(strategy=IN_PROGRESS)
    again = task(1, only, retry_count=1, priority=4)._replace(has_begun=True)
    scheduler.groups.freeze()
    scheduler.enqueue([again._replace(is_resting=True), task(2, only)])
    assert scheduler.knows(again.id, 1, is_resting=True)
    assert not scheduler.knows(again.id, 1)
    assert [each.id.int for each in scheduler.waiting()] == [2]
    scheduler.groups.thaw()
    assert started(scheduler) == [2]
    assert cancelled(scheduler) == [1]


def test_it_is_forgotten_when_it_ends_and_a_late_note_of_its_rest_changes_nothing() -> None:
    scheduler, only = scheduler_with_worker(9), claim()
    begin(scheduler, 1, only)
    again = rest(scheduler, 1, only)
    scheduler.enqueue([again])
    assert started(scheduler) == [1]
    scheduler.enqueue([again._replace(is_resting=True)])
    scheduler.enqueue([task(2, only)])
    assert started(scheduler) == []
    scheduler.withdraw(again.id, 1)
    assert started(scheduler) == [2]
    resting = rest(scheduler, 2, only)
    scheduler.withdraw(resting.id, 1)
    assert started(scheduler) == []
    assert scheduler.groups.group_count() == 0
