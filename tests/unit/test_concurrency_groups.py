"""What concurrency groups allow, whatever happens in whatever order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import pytest

from engine.domain.assignment import (
    Claim,
    Claims,
    GroupId,
    Obstacle,
    ReadyTask,
    SharedStrategy,
)
from engine.domain.scheduler.groups import ConcurrencyGroups
from engine.domain.scheduler.machine import TenantScheduler
from engine.states import ConcurrencyStrategy

ROUND_ROBIN = ConcurrencyStrategy.GROUP_ROUND_ROBIN
IN_PROGRESS = ConcurrencyStrategy.CANCEL_IN_PROGRESS
NEWEST = ConcurrencyStrategy.CANCEL_NEWEST
EXCEPT_NEWEST = ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_NEWEST
EXCEPT_OLDEST = ConcurrencyStrategy.CANCEL_QUEUED_EXCEPT_OLDEST
VERSION, STEP, WORKER = UUID(int=1), UUID(int=2), UUID(int=3)


def claim(
    key: str = "k",
    max_runs: int = 1,
    strategy: ConcurrencyStrategy = ROUND_ROBIN,
    *,
    number: int = 0,
    counts_priority: bool = False,
) -> Claim:
    return Claim(GroupId(VERSION, 0, number, key), max_runs, strategy, counts_priority)


def task(
    number: int, *chain: Claim, retry_count: int = 0, priority: int = 1, arrival: int | None = None
) -> ReadyTask:
    claims = Claims(chain or (claim(),), priority, arrival or number)
    return ReadyTask(
        UUID(int=number), retry_count, "a", priority, {"default": 1}, VERSION, STEP, None, claims
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
    groups = ConcurrencyGroups()
    arrive(groups, *[task(n) for n in range(1, 2001)])
    for number in range(2, 1951):
        end(groups, number)
    group = groups._groups[claim().group]
    assert len(group._places) < 200
    assert end(groups, 1) == ([1951], [])


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


# The scheduler with groups


def scheduler_with_worker(slots: int) -> TenantScheduler:
    scheduler = TenantScheduler()
    scheduler.upsert_worker(
        WORKER,
        actions=frozenset(["a"]),
        slots={"default": slots},
        is_active=True,
        is_paused=False,
        last_heartbeat=0.0,
    )
    return scheduler


def drained(scheduler: TenantScheduler) -> list[int]:
    return [assignment.task.id.int for assignment in scheduler.drain(0.0)]


def test_an_offer_takes_slots_of_groups_too_and_forgets_who_finds_none() -> None:
    scheduler = scheduler_with_worker(9)
    offered = scheduler.offer([task(1), task(2)], 0.0)
    assert [assignment.task.id.int for assignment in offered] == [1]
    scheduler.enqueue([task(2)])
    assert drained(scheduler) == []
    reason = scheduler.explain(task(2), 0.0)
    assert reason is not None
    assert (reason.obstacle, reason.used, reason.total) == (Obstacle.GROUP_FULL, 1, 1)
    scheduler.withdraw(UUID(int=1), 0)
    assert drained(scheduler) == [2]


def test_giving_back_a_workers_slot_does_not_give_back_the_groups() -> None:
    scheduler = scheduler_with_worker(1)
    scheduler.enqueue([task(1), task(2)])
    assert drained(scheduler) == [1]
    scheduler.release(UUID(int=1), 0)
    assert drained(scheduler) == []
    scheduler.withdraw(UUID(int=1), 0)
    assert drained(scheduler) == [2]


def test_a_task_whose_cancellation_was_decided_leaves_the_queue() -> None:
    scheduler = scheduler_with_worker(0)
    only = claim(strategy=IN_PROGRESS)
    scheduler.enqueue([task(1, only)])
    assert drained(scheduler) == []
    assert scheduler.is_waiting(UUID(int=1))
    scheduler.enqueue([task(2, only)])
    assert drained(scheduler) == []
    assert not scheduler.is_waiting(UUID(int=1))
    assert [t.id.int for t in scheduler.take_cancelled()] == [1]
    assert scheduler.take_cancelled() == []


def test_tasks_of_groups_are_never_dropped_from_memory() -> None:
    scheduler = TenantScheduler(queue_head_limit=2)
    wide = claim(max_runs=100)
    plain = [task(n)._replace(claims=None) for n in range(20, 30)]
    scheduler.enqueue([task(n, wide) for n in range(1, 11)])
    scheduler.drain(0.0)
    scheduler.enqueue(plain)
    assert all(scheduler.is_waiting(UUID(int=n)) for n in range(1, 11))
    assert scheduler.wants_refill() == []
    assert not scheduler.is_waiting(UUID(int=29))


def test_who_moved_on_in_its_groups_and_runs_at_once_is_not_told_of() -> None:
    scheduler = scheduler_with_worker(1)
    scheduler.enqueue([task(1, claim(max_runs=2)), task(2, claim(max_runs=2))])
    scheduler.enqueue([task(n, claim(max_runs=2)) for n in (3, 4)])
    assert drained(scheduler) == [1]
    assert scheduler.take_moved() == []
    scheduler.withdraw(UUID(int=1), 0)
    assert drained(scheduler) == [2]
    assert [t.id.int for t in scheduler.take_moved()] == [3]
    assert scheduler.take_moved() == []


# Properties

STRATEGIES = [
    (claim("a", 2, ROUND_ROBIN), claim("x", 3, ROUND_ROBIN, number=1)),
    (claim("b", 1, ROUND_ROBIN), claim("x", 3, ROUND_ROBIN, number=1)),
    (claim("c", 2, IN_PROGRESS), claim("y", 1, ROUND_ROBIN, number=1)),
    (claim("d", 1, NEWEST), claim("y", 1, ROUND_ROBIN, number=1)),
    (claim("e", 3, ROUND_ROBIN), claim("z", 2, IN_PROGRESS, number=1)),
    (claim("f", 2, ROUND_ROBIN, counts_priority=True),),
    (claim("g", 1, EXCEPT_NEWEST), claim("x", 3, ROUND_ROBIN, number=1)),
    (claim("h", 1, EXCEPT_OLDEST),),
]


class World:
    """The rows as a database would hold them, beside the scheduler under test."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.scheduler = scheduler_with_worker(6)
        self.rows: dict[int, ReadyTask] = {}
        self.running: set[int] = set()
        self.released: set[int] = set()
        self.ended: list[ReadyTask] = []
        self.done: Counter[str] = Counter()
        self.last = 0

    def step(self) -> None:
        self.random.choice(
            [
                *[self.trigger, self.finish] * 3,
                self.retry,
                self.replay,
                self.time_out,
                self.release_slot,
            ]
        )()
        self.drain()
        self.check_caps()

    def trigger(self) -> None:
        new = []
        for _ in range(self.random.randint(1, 4)):
            self.last += 1
            priority = self.random.randint(1, 3)
            new.append(task(self.last, *self.random.choice(STRATEGIES), priority=priority))
        offered = {assignment.task.id.int for assignment in self.scheduler.offer(new, 0.0)}
        for each in new:
            self.rows[each.id.int] = each
        self.running |= offered
        self.scheduler.enqueue([each for each in new if each.id.int not in offered])

    def finish(self) -> None:
        if self.running:
            key = self.random.choice(sorted(self.running))
            self.end(key)

    def retry(self) -> None:
        """An attempt fails; the next one comes at once, or in a later drain."""
        if not self.running:
            return
        key = self.random.choice(sorted(self.running))
        row = self.rows[key]
        again = row._replace(retry_count=row.retry_count + 1, priority=4)
        self.running.discard(key)
        self.rows[key] = again
        self.scheduler.withdraw(row.id, row.retry_count)
        if self.random.random() < 0.5:
            self.drain()
        self.scheduler.enqueue([again])

    def replay(self) -> None:
        """A task that ended arrives anew, before those who wait and as the newest."""
        if not self.ended:
            return
        row = self.ended.pop(self.random.randrange(len(self.ended)))
        assert row.claims is not None
        self.last += 1
        claims = row.claims._replace(arrival=self.last)
        again = row._replace(retry_count=row.retry_count + 1, priority=4, claims=claims)
        self.rows[row.id.int] = again
        self.scheduler.enqueue([again])

    def time_out(self) -> None:
        """The schedule timeout of a task that waits is over, wherever it waits."""
        if waiting := sorted(self.rows.keys() - self.running):
            self.end(self.random.choice(waiting))

    def release_slot(self) -> None:
        """A running task gives its worker's slot back, and keeps those of its groups."""
        if self.running:
            row = self.rows[self.random.choice(sorted(self.running))]
            self.scheduler.release(row.id, row.retry_count)
            self.released.add(row.id.int)

    def end(self, key: int) -> None:
        row = self.rows.pop(key)
        self.ended.append(row)
        self.running.discard(key)
        assert row.claims is not None
        self.done[row.claims.chain[0].group.key] += 1
        self.scheduler.withdraw(row.id, row.retry_count)

    def drain(self) -> None:
        while True:
            assigned = self.scheduler.drain(0.0)
            for assignment in assigned:
                assert self.rows[assignment.task.id.int] == assignment.task
                assert assignment.task.id.int not in self.running
                self.running.add(assignment.task.id.int)
                self.released.discard(assignment.task.id.int)
            cancelled = self.scheduler.take_cancelled()
            for each in cancelled:
                if self.rows.get(each.id.int) == each:
                    self.end(each.id.int)
            if not assigned and not cancelled:
                return

    def check_caps(self) -> None:
        used: Counter[Claim] = Counter()
        for key in self.running:
            claims = self.rows[key].claims
            assert claims is not None
            used.update(claims.chain)
        for each, count in used.items():
            assert count <= each.max_runs, each
        for key in self.running:
            for each in _chain(self.rows[key]):
                assert UUID(int=key) in self.scheduler.groups.holders(each.group)

    def take_over(self) -> None:
        """Build a new scheduler from the rows, as another engine would."""
        self.scheduler = scheduler_with_worker(6)
        for key in sorted(self.running):
            holds_slot = key not in self.released
            self.scheduler.adopt_running(self.rows[key], WORKER, holds_slot=holds_slot)
        self.scheduler.enqueue([row for key, row in self.rows.items() if key not in self.running])


def test_an_evicted_task_keeps_its_concurrency_slots_and_goes_on_without_waiting_for_any() -> None:
    scheduler = scheduler_with_worker(1)
    first, second = task(1), task(2)
    scheduler.enqueue([first, second])
    assert [a.task for a in scheduler.drain(0.0)] == [first]
    scheduler.release(first.id, 0)
    assert scheduler.drain(0.0) == []
    scheduler.enqueue([first._replace(is_restored=True, priority=4)])
    assert [a.task.id for a in scheduler.drain(0.0)] == [first.id]
    scheduler.withdraw(first.id, 0)
    assert [a.task for a in scheduler.drain(0.0)] == [second]


def test_a_new_owner_leaves_evicted_tasks_their_concurrency_slots() -> None:
    scheduler = scheduler_with_worker(1)
    first, second = task(1), task(2)
    scheduler.keep_groups(first)
    scheduler.enqueue([second])
    assert scheduler.drain(0.0) == []
    scheduler.enqueue([first._replace(is_restored=True, priority=4)])
    assert [a.task.id for a in scheduler.drain(0.0)] == [first.id]


def _chain(row: ReadyTask) -> Sequence[Claim]:
    assert row.claims is not None
    return row.claims.chain


@pytest.mark.parametrize("seed", range(40))
def test_no_cap_is_exceeded_nothing_leaks_and_no_key_starves(seed: int) -> None:
    world = World(seed)
    for number in range(150):
        world.step()
        if number % 50 == 40 and seed % 2:
            world.take_over()
            world.drain()
            world.check_caps()
    seen = {_chain(row)[0].group.key for row in world.rows.values()}
    finished = Counter(world.done)
    for _ in range(10_000):
        if not world.rows:
            break
        assert world.running, "everything that is left waits"
        world.finish()
        world.drain()
        world.check_caps()
    assert not world.rows
    assert all(world.done[key] > finished[key] for key in seen)
    assert world.scheduler.groups.group_count() == 0
    assert world.scheduler.groups.attempts() == []
    assert world.scheduler.running_count() == world.scheduler.waiting_count() == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_take_over_admits_as_many_as_a_continuous_run(seed: int) -> None:
    """With strategies that only make tasks wait, who holds a slot is decided by the rows alone."""
    worlds = [World(seed), World(seed)]
    chain = (claim("a", 3), claim("x", 2, number=1))
    for world in worlds:
        tasks = [task(n, *chain, priority=world.random.randint(1, 3)) for n in range(1, 20)]
        world.rows = {each.id.int: each for each in tasks}
        world.scheduler.enqueue(tasks)
        world.drain()
    worlds[1].take_over()
    worlds[1].drain()
    while worlds[0].rows:
        assert worlds[0].running == worlds[1].running
        key = worlds[0].random.choice(sorted(worlds[0].running))
        for world in worlds:
            world.end(key)
            world.drain()
