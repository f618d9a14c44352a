"""What concurrency groups allow, whatever happens in whatever order."""

from __future__ import annotations

from uuid import UUID

import pytest

from engine.domain.assignment import (
    Claim,
    Claims,
    GroupId,
    ReadyTask,
    RunClaims,
    SharedStrategy,
)
from engine.domain.scheduler.group import Group
from engine.domain.scheduler.groups import ConcurrencyGroups
from engine.domain.scheduler.members import TaskMember
from engine.states import ConcurrencyStrategy
from tests.unit.groups import (
    EXCEPT_NEWEST,
    EXCEPT_OLDEST,
    IN_PROGRESS,
    NEWEST,
    ROUND_ROBIN,
    claim,
    task,
)


def settle(groups: ConcurrencyGroups) -> tuple[list[int], list[int]]:
    settled = groups.settle()
    return [t.id.int for t in settled.admitted], [t.id.int for t in settled.cancelled]


def arrive(groups: ConcurrencyGroups, *tasks: ReadyTask) -> tuple[list[int], list[int]]:
    for each in tasks:
        groups.arrive(each)
    return settle(groups)


def end(
    groups: ConcurrencyGroups, number: int, retry_count: int = 0
) -> tuple[list[int], list[int]]:
    groups.end(UUID(int=number), retry_count)
    return settle(groups)


def test_round_robin_lets_the_oldest_of_the_highest_priority_go_next() -> None:
    groups = ConcurrencyGroups()
    assert arrive(groups, task(1), task(2), task(3), task(4, priority=3)) == ([4], [])
    assert end(groups, 4) == ([1], [])
    assert end(groups, 1) == ([2], [])
    assert end(groups, 2) == ([3], [])
    assert end(groups, 3) == ([], [])
    assert groups.group_count() == 0


def test_groups_of_different_keys_know_nothing_of_each_other() -> None:
    groups = ConcurrencyGroups()
    a, b = claim("a", 2), claim("b", 1)
    admitted, _ = arrive(groups, *[task(n, a) for n in (1, 2, 3)], *[task(n, b) for n in (4, 5)])
    assert sorted(admitted) == [1, 2, 4]


def test_cancel_newest_cancels_what_does_not_fit_and_leaves_the_running_alone() -> None:
    groups = ConcurrencyGroups()
    only = claim(max_runs=2, strategy=NEWEST)
    assert arrive(groups, task(1, only)) == ([1], [])
    assert arrive(groups, task(2, only), task(3, only), task(4, only)) == ([2], [3, 4])
    end(groups, 3), end(groups, 4)
    assert end(groups, 1) == ([], [])
    assert arrive(groups, task(5, only)) == ([5], [])


def test_cancel_in_progress_keeps_the_newest_and_starts_it_when_the_older_has_ended() -> None:
    groups = ConcurrencyGroups()
    only = claim(strategy=IN_PROGRESS)
    assert arrive(groups, task(1, only)) == ([1], [])
    assert arrive(groups, task(2, only)) == ([], [1])
    assert settle(groups) == ([], [])
    assert arrive(groups, task(3, only)) == ([], [2])
    assert end(groups, 2) == ([], [])
    assert end(groups, 1) == ([3], [])


def test_where_priority_counts_an_older_task_of_a_higher_one_survives() -> None:
    groups = ConcurrencyGroups()
    only = claim(strategy=IN_PROGRESS, counts_priority=True)
    assert arrive(groups, task(1, only, priority=3)) == ([1], [])
    assert arrive(groups, task(2, only, priority=1)) == ([], [2])
    assert arrive(groups, task(3, only, priority=3)) == ([], [1])


def test_a_replayed_task_counts_as_the_newest() -> None:
    groups = ConcurrencyGroups()
    only = claim(strategy=IN_PROGRESS)
    arrive(groups, task(5, only))
    assert arrive(groups, task(1, only, retry_count=1, arrival=9)) == ([], [5])


def test_the_next_slot_of_a_chain_is_asked_for_when_the_one_before_is_held() -> None:
    groups = ConcurrencyGroups()
    outer, inner = claim("o", 2), claim("i", 1, number=1)
    assert arrive(groups, *[task(n, outer, inner) for n in (1, 2, 3)]) == ([1], [])
    assert groups.blocking(UUID(int=2)) == inner
    assert groups.blocking(UUID(int=3)) == outer
    assert end(groups, 1) == ([2], [])
    assert groups.blocking(UUID(int=3)) == inner


def test_a_retry_at_once_keeps_its_slot_and_one_that_waits_gives_it_up() -> None:
    groups = ConcurrencyGroups()
    arrive(groups, task(1), task(2))
    groups.end(UUID(int=1), 0)
    assert arrive(groups, task(1, retry_count=1, priority=4)) == ([1], [])
    assert end(groups, 1, 1) == ([2], [])
    assert arrive(groups, task(1, retry_count=2, priority=4)) == ([], [])
    assert end(groups, 2) == ([1], [])


def test_a_retry_of_a_task_that_was_being_cancelled_is_cancelled_as_well() -> None:
    groups = ConcurrencyGroups()
    only = claim(strategy=IN_PROGRESS)
    arrive(groups, task(1, only))
    assert arrive(groups, task(2, only)) == ([], [1])
    groups.end(UUID(int=1), 0)
    assert arrive(groups, task(1, only, retry_count=1, priority=4, arrival=1)) == ([], [1])
    assert end(groups, 1, 1) == ([2], [])


def test_stale_ends_and_repeated_arrivals_change_nothing() -> None:
    groups = ConcurrencyGroups()
    arrive(groups, task(1, retry_count=2), task(2))
    assert arrive(groups, task(1, retry_count=1), task(1, retry_count=2)) == ([], [])
    assert end(groups, 1, 1) == ([], [])
    assert end(groups, 1, 2) == ([2], [])


@pytest.mark.parametrize(("strategy", "kept"), [(EXCEPT_NEWEST, 4), (EXCEPT_OLDEST, 2)])
def test_of_those_who_wait_only_the_newest_or_the_oldest_stays(
    strategy: ConcurrencyStrategy, kept: int
) -> None:
    groups = ConcurrencyGroups()
    only = claim(strategy=strategy)
    admitted, cancelled = arrive(groups, *[task(n, only) for n in (1, 2, 3, 4)])
    assert admitted == [1]
    assert sorted(cancelled) == sorted({2, 3, 4} - {kept})
    admitted, cancelled = arrive(groups, task(5, only))
    waits = 5 if strategy is EXCEPT_NEWEST else kept
    assert (admitted, cancelled) == ([], [kept if waits == 5 else 5])
    for number in range(1, 6):
        if number not in (1, waits):
            end(groups, number)
    assert end(groups, 1) == ([waits], [])


def computed(max_runs: int) -> Claim:
    return claim(max_runs=max_runs)._replace(is_computed=True)


def test_the_newest_task_of_a_group_says_what_its_limit_is() -> None:
    groups = ConcurrencyGroups()
    assert arrive(groups, *[task(n, computed(1)) for n in (1, 2, 3)]) == ([1], [])
    assert arrive(groups, task(9, computed(3))) == ([2, 3], [])
    assert arrive(groups, task(5, computed(8))) == ([], [])
    assert groups.limit(computed(1)) == 3
    assert arrive(groups, task(10, computed(2))) == ([], [])
    assert end(groups, 1) == ([], [])
    assert end(groups, 2) == ([5], [])


def test_room_is_judged_by_the_limit_that_a_newcomer_brings() -> None:
    groups = ConcurrencyGroups()
    arrive(groups, task(1, computed(1)))
    assert not groups.has_room(_claims(task(2, computed(1))))
    assert groups.has_room(_claims(task(2, computed(2))))
    assert not groups.has_room(_claims(task(2, claim(max_runs=1))))


def shared_claim(max_runs: int, strategy: ConcurrencyStrategy = ROUND_ROBIN) -> Claim:
    return Claim(GroupId(UUID(int=0), 0, 0, "k", "everyone"), max_runs, strategy)


def test_what_was_registered_last_for_the_tenant_holds_for_all_versions() -> None:
    groups = ConcurrencyGroups()
    groups.share({"everyone": SharedStrategy(2, ROUND_ROBIN)})
    tasks = [task(n, shared_claim(n)) for n in (1, 2, 3, 4)]
    assert arrive(groups, *tasks) == ([1, 2], [])
    groups.share({"everyone": SharedStrategy(3, ROUND_ROBIN)})
    assert settle(groups) == ([3], [])
    groups.share({"everyone": SharedStrategy(1, IN_PROGRESS)})
    assert sorted(settle(groups)[1]) == [1, 2, 3]
    assert end(groups, 1) == end(groups, 2) == ([], [])
    assert end(groups, 3) == ([4], [])


def test_a_computed_limit_of_the_tenant_is_that_of_the_newest_who_computes_one() -> None:
    groups = ConcurrencyGroups()
    groups.share({"everyone": SharedStrategy(1, ROUND_ROBIN, is_computed=True)})
    dynamic = shared_claim(2)._replace(is_computed=True)
    assert arrive(groups, task(1, shared_claim(9)), task(2, shared_claim(9))) == ([1], [])
    assert arrive(groups, task(3, dynamic)) == ([2], [])
    groups.share({"everyone": SharedStrategy(3, ROUND_ROBIN)})
    assert settle(groups) == ([3], [])


def test_before_the_registration_is_known_the_newcomers_own_settings_hold() -> None:
    groups = ConcurrencyGroups()
    assert arrive(groups, task(1, shared_claim(1)), task(2, shared_claim(1))) == ([1], [])
    assert arrive(groups, task(3, shared_claim(2))) == ([2], [])


def _claims(asking: ReadyTask) -> Claims:
    assert asking.claims is not None
    return asking.claims


def test_a_long_line_is_as_fast_to_join_and_to_leave_as_a_short_one() -> None:
    """Whoever leaves is only marked; the line is cleared before it is mostly marks."""
    group = Group(claim(), None)
    members = [TaskMember(task(n)) for n in range(1, 2001)]
    for member in members:
        group.line_up(member)
    for member in members[1:1950]:
        group.leave_line(member)
    assert len(group._places) < 200
    assert [group.take_first() for _ in range(51)] == [members[0], *members[1950:]]


def test_an_attempt_that_came_after_its_run_was_dropped_is_not_forgotten_for_the_one_before() -> (
    None
):
    """The attempt before had ended while it waited for its run, and nobody had settled since."""
    groups = ConcurrencyGroups()
    groups.hold_run(RunClaims(50, (claim(),), 1, 50))
    run = RunClaims(100, (claim(),), 1, 100)
    waiting = ReadyTask(
        UUID(int=1),
        0,
        "a",
        1,
        {"default": 1},
        UUID(int=1),
        UUID(int=2),
        None,
        Claims((), 1, 100, run),
    )
    assert arrive(groups, waiting) == ([], [])
    groups.end(waiting.id, 0)
    groups.end_run(UUID(int=100), 100)
    replayed = Claims((), 1, 200, run._replace(arrival=200))
    groups.arrive(waiting._replace(retry_count=1, claims=replayed))
    groups.settle()
    assert groups.knows(waiting.id, 1)


def test_who_waited_for_its_run_over_a_settlement_is_said_to_have_moved() -> None:
    groups = ConcurrencyGroups()
    holder, run = RunClaims(50, (claim(),), 1, 50), RunClaims(100, (claim(),), 1, 100)
    groups.hold_run(holder)
    first, second = (
        task(number)._replace(claims=Claims((), 1, number, run)) for number in (101, 102)
    )
    arrive(groups, first)
    arrive(groups, second)
    groups.end_run(UUID(int=50), 50)
    settled = groups.settle()
    assert [each.id.int for each in settled.moved] == [101, 102]


def test_a_group_is_forgotten_with_the_last_who_waits_for_it() -> None:
    groups = ConcurrencyGroups()
    groups.arrive(task(1))
    assert groups.group_count() == 1
    groups.forget(UUID(int=1))
    assert groups.group_count() == 0


def test_frozen_groups_decide_nothing_until_all_who_wait_are_known() -> None:
    groups = ConcurrencyGroups()
    groups.freeze()
    assert not groups.has_room(_claims(task(9)))
    assert arrive(groups, task(5), task(3)) == ([], [])
    assert arrive(groups, task(1)) == ([], [])
    groups.thaw()
    assert settle(groups) == ([1], [])


def test_what_ended_while_rows_were_read_does_not_come_back_with_them() -> None:
    groups = ConcurrencyGroups()
    groups.endings.watch()
    groups.end(UUID(int=1), 1)
    assert arrive(groups, task(1, retry_count=1)) == ([], [])
    assert arrive(groups, task(1, retry_count=2)) == ([1], [])
    groups.endings.forget()
    assert end(groups, 1, 2) == ([], [])
    assert arrive(groups, task(2, retry_count=0)) == ([2], [])


def moved(groups: ConcurrencyGroups) -> list[int]:
    return [t.id.int for t in groups.settle().moved]


def test_who_waited_and_waits_no_more_where_it_did_has_moved() -> None:
    groups = ConcurrencyGroups()
    outer, inner = claim("o", 2), claim("i", 1, number=1)
    for number in (1, 2, 3):
        groups.arrive(task(number, outer, inner))
    assert moved(groups) == []
    groups.end(UUID(int=1), 0)
    assert sorted(moved(groups)) == [2, 3]
    assert moved(groups) == []
    groups.end(UUID(int=2), 0)
    assert moved(groups) == [3]
