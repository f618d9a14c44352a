"""What buffers of batch tasks promise whatever happens, played against a plain model."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.assignment import (
    Claim,
    Claims,
    GroupId,
    Obstacle,
    Placement,
    ReadyTask,
    Reason,
)
from engine.domain.batches import MAX_BATCH_BYTES, BatchGroup, BatchPlace
from engine.domain.rate_limits import LimitClaim
from engine.states import ConcurrencyStrategy, FlushReason, RateLimitWindow
from tests.unit.batch_items import (
    GROUPS,
    STEP,
    WORKERS,
    connect,
    flushed,
    item,
    scheduler,
)


def test_the_interval_starts_with_the_first_item_and_not_with_the_last_flush() -> None:
    made = scheduler()
    group = BatchGroup(STEP, "", 2, 10.0, 100)
    made.enqueue([item(1, group), item(2, group)])
    assert flushed(made.drain(0.0)) == [(FlushReason.SIZE, [1, 2])]
    made.enqueue([item(3, group)])
    assert not made.drain(4.0)
    made.workers.record_heartbeat(WORKERS[0], 13.9)
    assert not made.drain(13.9)
    assert made.batches.next_flush_at() == 14.0
    assert flushed(made.drain(14.0)) == [(FlushReason.INTERVAL, [3])]


def test_a_first_attempt_waits_from_its_creation_whoever_schedules_it() -> None:
    made = scheduler()
    group = BatchGroup(STEP, "", 2, 10.0, 100)
    created_at_three = (3000 << 80) | 1
    made.enqueue([item(1, group, arrival=created_at_three)])
    made.drain(9.0)
    assert made.batches.next_flush_at() == 13.0


@given(sizes=st.lists(st.integers(1, MAX_BATCH_BYTES + 10), min_size=1, max_size=30))
def test_bytes_are_cut_where_the_next_item_would_not_fit(sizes: list[int]) -> None:
    made = scheduler(100)
    group = BatchGroup(STEP, "", 1000, 10.0, 1000)
    made.enqueue([item(n + 1, group, size=size) for n, size in enumerate(sizes)])
    batches = flushed(made.drain(0.0))
    made.workers.record_heartbeat(WORKERS[0], 10.0)
    batches += flushed(made.drain(10.0))
    assert [n for _, members in batches for n in members] == list(range(1, len(sizes) + 1))
    for (_, members), (_, following) in pairwise(batches):
        total = sum(sizes[n - 1] for n in members)
        assert total <= MAX_BATCH_BYTES or len(members) == 1
        assert total + sizes[following[0] - 1] > MAX_BATCH_BYTES


@pytest.mark.parametrize("cancelled", [1, 2])
def test_a_buffer_without_its_caller_calls_again(cancelled: int) -> None:
    made = scheduler(0)
    group = BatchGroup(STEP, "", 2, 10.0, 100)
    made.enqueue([item(1, group), item(2, group), item(3, group)])
    assert not made.drain(0.0)
    made.withdraw(UUID(int=cancelled), 0)
    connect(made, WORKERS[0], 1)
    left = [n for n in (1, 2, 3) if n != cancelled]
    assert flushed(made.drain(0.0)) == [(FlushReason.SIZE, left)]


def test_a_better_item_takes_the_callers_place() -> None:
    made = scheduler(0)
    group = BatchGroup(STEP, "", 2, 10.0, 100)
    made.enqueue([item(1, group), item(2, group)])
    assert not made.drain(0.0)
    made.enqueue([item(3, group, priority=3)])
    connect(made, WORKERS[0], 1)
    assert flushed(made.drain(0.0)) == [(FlushReason.SIZE, [3, 1])]


def test_what_began_to_wait_is_told_once() -> None:
    made = scheduler(0)
    group = BatchGroup(STEP, "", 5, 10.0, 100)
    made.enqueue([item(1, group), item(2, group)])
    made.drain(0.0)
    made.batches.leave_out([UUID(int=1)])
    assert [task.id.int for task in made.batches.take_buffered()] == [2]
    assert made.batches.take_buffered() == []


def test_the_batches_of_a_worker_that_is_gone_do_not_count() -> None:
    made = scheduler(1)
    group = BatchGroup(STEP, "", 2, 10.0, 1)
    made.enqueue([item(1, group), item(2, group)])
    assert flushed(made.drain(0.0)) == [(FlushReason.SIZE, [1, 2])]
    made.workers.remove(WORKERS[0])
    connect(made, WORKERS[1], 1)
    made.enqueue([item(3, group), item(4, group)])
    assert flushed(made.drain(0.0)) == [(FlushReason.SIZE, [3, 4])]


def test_an_item_superseded_in_its_concurrency_group_leaves_its_buffer() -> None:
    made = scheduler()
    group = BatchGroup(STEP, "", 2, 10.0, 100)
    chain = (Claim(GroupId(STEP, 0, 0, "k"), 1, ConcurrencyStrategy.CANCEL_IN_PROGRESS),)
    for number in (1, 2):
        claims = Claims(chain, 1, number, batch=BatchPlace(group, 10))
        made.enqueue([item(number, group)._replace(claims=claims)])
        made.drain(0.0)
    assert [task.id.int for task in made.take_cancelled()] == [1]
    assert [task.id.int for task in made.batches.waiting()] == []
    made.withdraw(UUID(int=1), 0)
    made.drain(0.0)
    assert [task.id.int for task in made.batches.waiting()] == [2]


def test_the_buffer_explains_what_it_waits_for() -> None:
    made = scheduler(1)
    group = BatchGroup(STEP, "", 2, 10.0, 1)
    first, second, third = (item(n, group) for n in (1, 2, 3))
    made.enqueue([first])
    made.drain(0.0)
    assert made.explain(first, 0.0) == Reason(Obstacle.BATCH_FILLING, used=1, total=2)
    made.enqueue([second, third])
    made.drain(0.0)
    assert made.explain(third, 0.0) == Reason(Obstacle.BATCHES_RUNNING, used=1, total=1)


def test_a_full_buffer_without_a_worker_is_explained_as_its_caller_is() -> None:
    made = scheduler(0)
    group = BatchGroup(STEP, "", 1, 10.0, 1)
    made.enqueue([item(1, group)])
    made.drain(0.0)
    reason = made.explain(item(1, group), 0.0)
    assert reason is not None
    assert reason.obstacle is Obstacle.SLOTS_FULL


Command = tuple[str, int, int, int]
commands = st.lists(
    st.tuples(
        st.sampled_from(["item", "limited", "limited", "end", "cancel", "time"]),
        st.integers(0, len(GROUPS) - 1),
        st.integers(1, 3),
        st.integers(0, 50),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(commands=commands)
def test_items_take_units_before_they_wait_and_all_run_in_the_end(commands: list[Command]) -> None:
    made, now = scheduler(3), 0.0
    waiting: set[UUID] = set()
    running: dict[UUID, ReadyTask] = {}
    taken: list[float] = []

    def drain() -> None:
        made.workers.record_heartbeat(WORKERS[0], now)
        for assignment in made.drain(now):
            for task in assignment.tasks:
                assert bool(assignment.taken.get(task.id)) == bool(task.limits)
                taken.extend(found.since for found in assignment.taken.get(task.id, ()))
                waiting.remove(task.id)
                running[task.id] = task

    for number, (what, group, priority, index) in enumerate(commands, start=1):
        if what in ("item", "limited"):
            task = item(number, GROUPS[group], priority)
            if what == "limited":
                task = task._replace(limits=(LimitClaim("k", 1, 2, RateLimitWindow.SECOND),))
            made.enqueue([task])
            waiting.add(task.id)
            drain()
        elif what == "end" and running:
            task_id = sorted(running)[index % len(running)]
            del running[task_id]
            made.withdraw(task_id, 0)
            drain()
        elif what == "cancel" and waiting:
            task_id = sorted(waiting)[index % len(waiting)]
            waiting.remove(task_id)
            made.withdraw(task_id, 0)
            drain()
        elif what == "time":
            now += index / 10
            drain()
        assert {task.id for task in made.waiting()} == waiting
    for _ in range(60):
        now += 1.5
        drain()
        for task_id in list(running):
            del running[task_id]
            made.withdraw(task_id, 0)
    drain()
    assert not waiting
    assert not running
    assert made.workers.free_slots(WORKERS[0]) == {"default": 3}
    assert all(count <= 2 for count in Counter(taken).values())


def test_the_placement_of_the_first_item_chooses_the_worker_for_all() -> None:
    made = scheduler(10)
    connect(made, WORKERS[1], 1)
    group = BatchGroup(STEP, "", 2, 10.0, 100)
    bound = Placement(worker_id=WORKERS[1], is_bound=True)
    made.enqueue([item(1, group)._replace(placement=bound), item(2, group)])
    (assignment,) = made.drain(0.0)
    assert assignment.worker_id == WORKERS[1]
    assert flushed([assignment]) == [(FlushReason.SIZE, [1, 2])]
