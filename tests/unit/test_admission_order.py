"""What groups admitted is handed to workers in the order of admission, whenever it was created."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.assignment import WHOLE_RUN, Claim, ReadyTask, RunClaims
from engine.domain.scheduler.machine import TenantScheduler
from tests.unit.groups import WORKER, claim, scheduler_with_worker, task

A, B = claim("a", 2), claim("b", 2)


def starts(scheduler: TenantScheduler, tasks: Sequence[ReadyTask], *, of_runs: bool = False) -> str:
    """Return the keys of tasks in the order in which they start; each ends before the next does."""
    key_of = {task.id: _key(task) for task in tasks}
    running: deque[ReadyTask] = deque()
    order = ""
    while True:
        for assignment in scheduler.drain(0.0):
            order += key_of[assignment.task.id]
            running.append(assignment.task)
        if not running:
            return order
        ended = running.popleft()
        scheduler.withdraw(ended.id, ended.retry_count)
        if of_runs:
            assert ended.claims is not None
            assert ended.claims.run is not None
            run = ended.claims.run
            scheduler.groups.end_run(UUID(int=run.id), run.arrival)


def _key(task: ReadyTask) -> str:
    assert task.claims is not None
    return (task.claims.run or task.claims).chain[0].group.key


def test_a_key_with_a_long_backlog_does_not_push_the_others_back() -> None:
    scheduler = scheduler_with_worker(2)
    tasks = [task(n, A) for n in range(1, 61)] + [task(n, B) for n in range(61, 66)]
    scheduler.enqueue(tasks)
    assert starts(scheduler, tasks)[:10] == "ab" * 5


def test_keys_take_turns_where_each_has_one_slot_and_the_worker_too() -> None:
    scheduler = scheduler_with_worker(1)
    one, other = claim("a", 1), claim("b", 1)
    first = [task(n, one) for n in range(1, 11)]
    scheduler.enqueue(first)
    assert len(scheduler.drain(0.0)) == 1
    later = [task(n, other) for n in range(11, 14)]
    scheduler.enqueue(later)
    assert scheduler.drain(0.0) == []
    scheduler.withdraw(UUID(int=1), 0)
    assert starts(scheduler, first + later) == "bababa" + "a" * 6


@pytest.mark.parametrize("place", [0, 1])
def test_a_stacked_limit_admits_in_the_order_in_which_the_one_before_it_did(place: int) -> None:
    """`place` is where each key has its limit in the chain; the other limit is every task's own."""
    everybody = claim("x", 2, number=1)
    scheduler = scheduler_with_worker(9)
    tasks = [
        task(n, claim("a" if n <= 60 else "b", 2), everybody)
        if place == 0
        else task(
            n,
            claim("a" if n <= 60 else "b", 99),
            claim("a" if n <= 60 else "b", 2, number=1),
            claim("x", 2, number=2),
        )
        for n in range(1, 66)
    ]
    scheduler.enqueue(tasks)
    assert starts(scheduler, tasks)[:10] == "ab" * 5


def test_runs_of_several_tasks_take_turns_as_tasks_do() -> None:
    scheduler = scheduler_with_worker(2)
    tasks = [_of_run(n, "a" if n <= 30 else "b") for n in range(1, 36)]
    scheduler.enqueue(tasks)
    assert starts(scheduler, tasks, of_runs=True)[:10] == "ab" * 5


def _of_run(number: int, key: str, *own: Claim) -> ReadyTask:
    run = RunClaims(1000 + number, (claim(key, 2, ordinal=WHOLE_RUN),), 1, number)
    made = task(number)
    assert made.claims is not None
    return made._replace(claims=made.claims._replace(chain=own, run=run))


def test_a_task_whose_run_was_admitted_late_waits_for_its_own_slot_behind_others() -> None:
    scheduler = scheduler_with_worker(9)
    tasks = [_of_run(n, "a" if n <= 30 else "b", claim("own", 2)) for n in range(1, 36)]
    scheduler.enqueue(tasks)
    assert starts(scheduler, tasks, of_runs=True)[:10] == "ab" * 5


def test_a_higher_priority_goes_before_whoever_was_admitted_earlier() -> None:
    scheduler = scheduler_with_worker(1)
    tasks = [task(1, A), task(2, A), task(3, B), task(4, B, priority=3)]
    scheduler.enqueue(tasks)
    assert starts(scheduler, tasks) == "baab"


def test_a_new_owner_lets_keys_take_turns_again() -> None:
    scheduler = scheduler_with_worker(2)
    for number in (1, 2):
        scheduler.adopt_running(task(number, A), WORKER, holds_slot=True)
    scheduler.groups.freeze()
    waiting = [task(n, A) for n in range(3, 61)] + [task(n, B) for n in range(61, 66)]
    scheduler.enqueue(waiting)
    assert scheduler.drain(0.0) == []
    scheduler.groups.thaw()
    scheduler.withdraw(UUID(int=1), 0)
    scheduler.withdraw(UUID(int=2), 0)
    assert starts(scheduler, waiting)[:10] == "ab" * 5


def test_a_task_that_its_owner_asks_about_is_explained_by_its_place_in_the_line() -> None:
    scheduler = scheduler_with_worker(1)
    tasks = [task(n, A) for n in (1, 2, 3)] + [task(n, B) for n in (4, 5)]
    scheduler.enqueue(tasks)
    scheduler.drain(0.0)
    scheduler.withdraw(UUID(int=1), 0)
    scheduler.drain(0.0)
    reason = scheduler.explain(tasks[2], 0.0)
    assert reason is not None
    assert reason.ahead == 2


# Properties

KEYS = st.sampled_from("abcdef")


@settings(max_examples=150, deadline=None)
@given(
    mix=st.lists(st.tuples(KEYS, st.integers(1, 20), st.integers(0, 3)), min_size=1, max_size=12),
    limit=st.integers(1, 3),
    slots=st.integers(1, 4),
    is_stacked=st.booleans(),
)
def test_no_key_waits_for_longer_than_the_turns_of_the_others(
    mix: list[tuple[str, int, int]], limit: int, slots: int, is_stacked: bool
) -> None:
    """While one of a key waits that its limit lets go, no other key starts more than its limit twice."""
    scheduler = scheduler_with_worker(slots)
    stacked = [claim("x", 4, number=1)] if is_stacked else []
    tasks: list[ReadyTask] = []
    running: deque[ReadyTask] = deque()
    left: Counter[str] = Counter()
    passed: dict[str, Counter[str]] = defaultdict(Counter)

    def drain() -> None:
        for assignment in scheduler.drain(0.0):
            key = _key(assignment.task)
            running.append(assignment.task)
            left[key] -= 1
            passed.pop(key, None)
            for waiting, count in left.items():
                if count and waiting != key:
                    passed[waiting][key] += 1
                    assert passed[waiting][key] <= 2 * limit, (waiting, key)

    for key, count, endings in mix:
        new = [task(len(tasks) + n, claim(key, limit), *stacked) for n in range(1, count + 1)]
        tasks += new
        left[key] += count
        scheduler.enqueue(new)
        drain()
        for _ in range(min(endings, len(running))):
            _end_first(scheduler, running)
            drain()
    while running:
        _end_first(scheduler, running)
        drain()
    assert not +left


def _end_first(scheduler: TenantScheduler, running: deque[ReadyTask]) -> None:
    ended = running.popleft()
    scheduler.withdraw(ended.id, ended.retry_count)
