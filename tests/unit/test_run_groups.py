"""What concurrency groups allow whole runs of several tasks, whatever happens in whatever order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import partial
from uuid import UUID

import pytest

from engine.domain.assignment import (
    WHOLE_RUN,
    Claim,
    Claims,
    Obstacle,
    ReadyTask,
    RunClaims,
)
from engine.domain.scheduler.groups import ConcurrencyGroups
from tests.unit.groups import (
    EXCEPT_NEWEST,
    EXCEPT_OLDEST,
    IN_PROGRESS,
    NEWEST,
    STEP,
    VERSION,
    WORKER,
    play_out,
    scheduler_with_worker,
)
from tests.unit.groups import claim as any_claim

claim = partial(any_claim, ordinal=WHOLE_RUN)


def run(number: int, *chain: Claim, arrival: int | None = None, priority: int = 1) -> RunClaims:
    return RunClaims(number, chain or (claim(),), priority, arrival or number)


def task(number: int, of: RunClaims, *chain: Claim, retry_count: int = 0) -> ReadyTask:
    claims = Claims(chain, of.priority, number, of)
    return ReadyTask(
        UUID(int=number), retry_count, "a", 1, {"default": 1}, VERSION, STEP, None, claims
    )


def settle(groups: ConcurrencyGroups) -> tuple[list[int], list[int]]:
    """Return the admitted tasks and the cancelled runs."""
    settled = groups.settle()
    assert settled.cancelled == []
    return sorted(t.id.int for t in settled.admitted), [r.id for r in settled.cancelled_runs]


def arrive(groups: ConcurrencyGroups, *tasks: ReadyTask) -> tuple[list[int], list[int]]:
    for each in tasks:
        groups.arrive(each)
    return settle(groups)


def end(groups: ConcurrencyGroups, *numbers: int) -> tuple[list[int], list[int]]:
    for number in numbers:
        groups.end(UUID(int=number), 0)
    return settle(groups)


def end_run(groups: ConcurrencyGroups, ended: RunClaims) -> tuple[list[int], list[int]]:
    groups.end_run(UUID(int=ended.id), ended.arrival)
    return settle(groups)


def test_one_slot_lets_all_tasks_of_a_run_pass_until_the_run_ends() -> None:
    groups = ConcurrencyGroups()
    first, second = run(100), run(200)
    assert arrive(groups, task(1, first), task(2, first), task(3, second)) == ([1, 2], [])
    assert end(groups, 1, 2) == ([], [])
    assert arrive(groups, task(4, first)) == ([4], [])
    assert end(groups, 4) == ([], [])
    assert end_run(groups, first) == ([3], [])
    assert end(groups, 3) == ([], [])
    assert end_run(groups, second) == ([], [])
    assert groups.group_count() == 0
    assert groups.runs() == []


def test_the_oldest_run_of_the_highest_priority_goes_next() -> None:
    groups = ConcurrencyGroups()
    runs = [run(100), run(200), run(300), run(400, priority=3)]
    assert arrive(groups, *[task(n, each) for n, each in enumerate(runs)]) == ([3], [])
    assert end_run(groups, runs[3]) == ([0], [])
    assert end_run(groups, runs[0]) == ([1], [])


def test_tasks_ask_for_their_own_slots_once_their_run_has_all_of_its() -> None:
    groups = ConcurrencyGroups()
    two, own = claim(max_runs=2), claim("own", ordinal=0)
    first, second, third = (run(n, two, claim("x", 2, number=1)) for n in (100, 200, 300))
    tasks = [task(1, first, own), task(2, second, own), task(3, third, own)]
    assert arrive(groups, *tasks) == ([1], [])
    assert groups.blocking(UUID(int=2)) == own
    assert groups.blocking(UUID(int=3)) == two
    assert end(groups, 1) == ([2], [])
    assert end_run(groups, first) == ([], [])
    assert groups.blocking(UUID(int=3)) == own


def test_the_newest_run_has_the_older_cancelled_whole_and_no_task_of_it_goes_on() -> None:
    groups = ConcurrencyGroups()
    only = claim(strategy=IN_PROGRESS)
    first, second = run(100, only), run(200, only)
    assert arrive(groups, task(1, first)) == ([1], [])
    assert arrive(groups, task(2, second)) == ([], [100])
    assert arrive(groups, task(3, first)) == ([], [])
    assert settle(groups) == ([], [])
    assert end_run(groups, first) == ([2], [])


def test_a_run_does_not_outdo_itself() -> None:
    groups = ConcurrencyGroups()
    only = run(100, claim(strategy=IN_PROGRESS), claim("x", 5, number=1))
    for number in range(1, 5):
        assert arrive(groups, task(number, only)) == ([number], [])
        assert end(groups, number) == ([], [])


def test_runs_that_do_not_fit_are_cancelled_at_once() -> None:
    groups = ConcurrencyGroups()
    only = claim(strategy=NEWEST)
    assert arrive(groups, task(1, run(100, only)), task(2, run(200, only))) == ([1], [200])


def test_the_tasks_of_a_cancelled_run_leave_the_queue() -> None:
    scheduler = scheduler_with_worker(0)
    only = claim(strategy=IN_PROGRESS)
    scheduler.enqueue([task(1, run(100, only))])
    scheduler.drain(0.0)
    assert scheduler.is_waiting(UUID(int=1))
    scheduler.enqueue([task(2, run(200, only))])
    scheduler.drain(0.0)
    assert not scheduler.is_waiting(UUID(int=1))
    assert [each.id for each in scheduler.take_cancelled_runs()] == [100]
    assert scheduler.take_cancelled_runs() == []


def test_a_waiting_run_whose_tasks_have_all_gone_waits_no_more() -> None:
    groups = ConcurrencyGroups()
    first, second = run(100), run(200)
    arrive(groups, task(1, first), task(2, second), task(3, second))
    end(groups, 2)
    assert len(groups.runs()) == 2
    end(groups, 3)
    assert groups.runs() == [(UUID(int=100), 100)]


def test_a_replay_arrives_anew_and_is_not_freed_by_the_end_of_the_run_before_it() -> None:
    groups = ConcurrencyGroups()
    first, second = run(300), run(200)
    again = first._replace(arrival=900)
    arrive(groups, task(1, first))
    arrive(groups, task(2, second))
    assert arrive(groups, task(1, again, retry_count=1)) == ([2], [])
    assert end_run(groups, first) == ([], [])
    assert groups.blocking(UUID(int=1)) == claim()
    assert end_run(groups, second) == ([1], [])


def test_a_run_that_has_begun_keeps_its_slots_over_a_take_over() -> None:
    groups = ConcurrencyGroups()
    first = run(100)
    groups.hold_run(first)
    assert arrive(groups, task(2, run(200)), task(1, first)) == ([1], [])
    assert groups.holders(claim().group) == [UUID(int=100)]


def test_a_run_that_has_begun_elsewhere_leaves_the_line_it_stood_in_and_frees_all_its_slots() -> (
    None
):
    groups = ConcurrencyGroups()
    outer, inner = claim("outer"), claim("inner")
    groups.hold_run(run(100, inner))
    half = run(200, outer, inner)
    assert arrive(groups, task(2, half)) == ([], [])
    groups.hold_run(half)
    assert settle(groups) == ([2], [])
    end_run(groups, half)
    assert (groups.holders(outer.group), groups.holders(inner.group)) == ([], [UUID(int=100)])


def test_a_run_that_ended_while_rows_were_read_does_not_come_back_with_them() -> None:
    groups = ConcurrencyGroups()
    first = run(100)
    groups.endings.watch()
    groups.end_run(UUID(int=100), first.arrival)
    assert arrive(groups, task(1, first)) == ([], [])
    assert groups.runs() == []
    assert arrive(groups, task(1, first._replace(arrival=900), retry_count=1)) == ([1], [])


def test_an_offer_takes_the_slot_of_the_run_once() -> None:
    scheduler = scheduler_with_worker(9)
    first, second = run(100), run(200)
    offered = scheduler.offer([task(1, first), task(2, first), task(3, second)], 0.0)
    assert sorted(each.task.id.int for each in offered) == [1, 2]
    scheduler.enqueue([task(3, second)])
    assert scheduler.drain(0.0) == []
    reason = scheduler.explain(task(3, second), 0.0)
    assert reason is not None
    assert (reason.obstacle, reason.used, reason.total) == (Obstacle.GROUP_FULL, 1, 1)


# Properties

_OWN = claim("own", 4, ordinal=0)
SHAPES: Sequence[tuple[tuple[Claim, ...], tuple[Claim, ...]]] = (
    ((claim("a", 2),), (_OWN,)),
    ((claim("b", 1), claim("x", 3, number=1)), ()),
    ((claim("c", 1, IN_PROGRESS), claim("x", 3, number=1)), (_OWN,)),
    ((claim("d", 2, NEWEST),), ()),
    ((claim("e", 1, EXCEPT_NEWEST),), ()),
    ((claim("f", 1, EXCEPT_OLDEST),), (_OWN,)),
)
STEPS = 3


class Row:
    """An unfinished run: its tasks that wait or run, and the steps left to be created."""

    def __init__(self, claims: RunClaims, own: tuple[Claim, ...]) -> None:
        self.claims, self.own = claims, own
        self.steps_left = STEPS
        self.tasks: dict[int, ReadyTask] = {}
        self.is_holding = False


class World:
    """The rows as a database would hold them, beside the scheduler under test."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.scheduler = scheduler_with_worker(6)
        self.rows: dict[int, Row] = {}
        self.running: dict[int, Row] = {}
        self.ended: list[Row] = []
        self.done: Counter[str] = Counter()
        self.last = 0

    def next_number(self) -> int:
        self.last += 1
        return self.last

    def step(self) -> None:
        self.random.choice(
            [*[self.trigger, self.finish] * 2, self.retry, self.retry, self.wake, self.replay]
        )()
        self.drain()
        self.check_caps()

    def trigger(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            chain, own = self.random.choice(SHAPES)
            number = self.next_number()
            self.start(Row(run(number, *chain, priority=self.random.randint(1, 3)), own))

    def start(self, row: Row) -> None:
        """Insert the run's first tasks, offered before they are committed."""
        self.rows[row.claims.id] = row
        offered = self.scheduler.offer(self.create(row), 0.0)
        for each in offered:
            self.running[each.task.id.int] = row
            row.is_holding = True
        self.scheduler.enqueue([t for t in row.tasks.values() if t.id.int not in self.running])

    def create(self, row: Row) -> list[ReadyTask]:
        row.steps_left -= 1
        new = [
            task(self.next_number(), row.claims, *row.own) for _ in range(self.random.randint(1, 2))
        ]
        row.tasks |= {each.id.int: each for each in new}
        return new

    def finish(self) -> None:
        if not self.running:
            return
        key = self.random.choice(sorted(self.running))
        row = self.running.pop(key)
        ended = row.tasks.pop(key)
        self.scheduler.withdraw(ended.id, ended.retry_count)
        if row.tasks:
            return
        if row.steps_left:
            if self.random.random() < 0.5:
                self.drain()
            self.scheduler.enqueue(self.create(row))
        else:
            self.close(row)

    def close(self, row: Row) -> None:
        del self.rows[row.claims.id]
        self.ended.append(row)
        self.done[row.claims.chain[0].group.key] += 1
        self.scheduler.groups.end_run(UUID(int=row.claims.id), row.claims.arrival)

    def retry(self) -> None:
        """An attempt fails; the next one comes now, or when its back-off has ended."""
        if not self.running:
            return
        key = self.random.choice(sorted(self.running))
        row = self.running.pop(key)
        before = row.tasks[key]
        row.tasks[key] = again = before._replace(
            retry_count=before.retry_count + 1,
            priority=4,
            has_begun=True,
            is_resting=self.random.random() < 0.5,
        )
        self.scheduler.withdraw(before.id, before.retry_count)
        if self.random.random() < 0.5:
            self.drain()
        self.scheduler.enqueue([again])

    def wake(self) -> None:
        for row in self.rows.values():
            for key, each in row.tasks.items():
                if each.is_resting:
                    row.tasks[key] = each._replace(is_resting=False)
                    self.scheduler.enqueue([row.tasks[key]])

    def replay(self) -> None:
        """A run that ended asks again, as the newest."""
        if not self.ended or self.random.random() < 0.5:
            return
        before = self.ended.pop(self.random.randrange(len(self.ended)))
        row = Row(before.claims._replace(arrival=self.next_number()), before.own)
        self.rows[row.claims.id] = row
        self.scheduler.enqueue(self.create(row))
        if self.random.random() < 0.5:
            self.scheduler.groups.end_run(UUID(int=row.claims.id), before.claims.arrival)

    def cancel(self, claims: RunClaims) -> None:
        row = self.rows.get(claims.id)
        if row is None or row.claims != claims:
            return
        for key, each in row.tasks.items():
            self.running.pop(key, None)
            self.scheduler.withdraw(each.id, each.retry_count)
        row.tasks.clear()
        self.close(row)

    def drain(self) -> None:
        while True:
            assigned = self.scheduler.drain(0.0)
            for each in assigned:
                key = each.task.id.int
                row = next(row for row in self.rows.values() if key in row.tasks)
                assert row.tasks[key] == each.task
                assert key not in self.running
                self.running[key] = row
                row.is_holding = True
            cancelled = self.scheduler.take_cancelled_runs()
            for claims in cancelled:
                self.cancel(claims)
            if not assigned and not cancelled:
                return

    def check_caps(self) -> None:
        used: Counter[Claim] = Counter()
        for row in self.rows.values():
            if row.is_holding:
                used.update(row.claims.chain)
        for row in self.running.values():
            used.update(row.own)
        for each, count in used.items():
            assert count <= each.max_runs, each

    def take_over(self) -> None:
        self.scheduler = scheduler_with_worker(6)
        for row in self.rows.values():
            if row.is_holding:
                self.scheduler.groups.hold_run(row.claims)
        for key, row in self.running.items():
            self.scheduler.adopt_running(row.tasks[key], WORKER, holds_slot=True)
        waiting = [t for row in self.rows.values() for t in row.tasks.values()]
        self.scheduler.enqueue([t for t in waiting if t.id.int not in self.running])


@pytest.mark.parametrize("seed", range(40))
def test_no_cap_is_exceeded_nothing_leaks_and_no_key_starves(seed: int) -> None:
    world = World(seed)
    for number in range(150):
        world.step()
        if number % 40 == 30 and seed % 2:
            world.take_over()
            world.drain()
            world.check_caps()
    world.wake()
    world.drain()
    play_out(world, {row.claims.chain[0].group.key for row in world.rows.values()})
