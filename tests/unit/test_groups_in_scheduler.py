"""A scheduler whose tasks need slots of concurrency groups besides those of workers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import pytest

from engine.domain.assignment import Claim, Obstacle, ReadyTask
from engine.domain.scheduler.machine import TenantScheduler
from tests.unit.groups import (
    EXCEPT_NEWEST,
    EXCEPT_OLDEST,
    IN_PROGRESS,
    NEWEST,
    ROUND_ROBIN,
    WORKER,
    claim,
    play_out,
    scheduler_with_worker,
    task,
)


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
    scheduler.workers.release(UUID(int=1), 0)
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
    assert scheduler.queues.wants_refill() == []
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
                self.back_off,
                self.wake,
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
        again = _next_attempt(row)
        self.running.discard(key)
        self.rows[key] = again
        self.scheduler.withdraw(row.id, row.retry_count)
        if self.random.random() < 0.5:
            self.drain()
        self.scheduler.enqueue([again])

    def back_off(self) -> None:
        """An attempt fails; the next one comes when its back-off has ended."""
        if not self.running:
            return
        key = self.random.choice(sorted(self.running))
        row = self.rows[key]
        self.running.discard(key)
        self.rows[key] = _next_attempt(row)._replace(is_resting=True)
        self.scheduler.withdraw(row.id, row.retry_count)
        if self.random.random() < 0.5:
            self.drain()
        self.scheduler.enqueue([self.rows[key]])

    def wake(self) -> None:
        """Some of the back-offs end."""
        for key, row in self.rows.items():
            if row.is_resting and self.random.random() < 0.5:
                self.rows[key] = row._replace(is_resting=False)
                self.scheduler.enqueue([self.rows[key]])

    def wake_all(self) -> None:
        while any(row.is_resting for row in self.rows.values()):
            self.wake()
        self.drain()

    def replay(self) -> None:
        """A task that ended arrives anew, before those who wait and as the newest."""
        if not self.ended:
            return
        row = self.ended.pop(self.random.randrange(len(self.ended)))
        assert row.claims is not None
        self.last += 1
        claims = row.claims._replace(arrival=self.last)
        again = _next_attempt(row)._replace(claims=claims, has_begun=False)
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
            self.scheduler.workers.release(row.id, row.retry_count)
            self.released.add(row.id.int)

    def end(self, key: int) -> None:
        row = self.rows.pop(key)
        self.ended.append(row)
        self.running.discard(key)
        assert row.claims is not None
        self.done[row.claims.chain[0].group.key] += 1
        self.scheduler.withdraw(row.id, row.retry_count)

    def drain(self) -> None:
        """Write what was decided. Who had begun is cancelled only for who is newer."""
        while True:
            assigned = self.scheduler.drain(0.0)
            for assignment in assigned:
                assert self.rows[assignment.task.id.int] == assignment.task
                assert assignment.task.id.int not in self.running
                self.running.add(assignment.task.id.int)
                self.released.discard(assignment.task.id.int)
            cancelled = self.scheduler.take_cancelled()
            for each in cancelled:
                strategies = {claim.strategy for claim in _chain(each)}
                assert IN_PROGRESS in strategies or not each.has_begun
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
    scheduler.workers.release(first.id, 0)
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


def _next_attempt(row: ReadyTask) -> ReadyTask:
    return row._replace(
        retry_count=row.retry_count + 1, priority=4, has_begun=True, is_resting=False
    )


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
    world.wake_all()
    play_out(world, {_chain(row)[0].group.key for row in world.rows.values()})


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
