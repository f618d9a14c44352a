"""What buffers of batch tasks promise whatever happens, played against a plain model."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.domain.assignment import (
    Claim,
    Claims,
    GroupId,
    Obstacle,
    ReadyTask,
    Reason,
    Wishes,
    score_of,
)
from engine.domain.batches import MAX_BATCH_BYTES, BatchGroup, BatchPlace
from engine.domain.rate_limits import LimitClaim
from engine.domain.scheduler.machine import Assignment, TenantScheduler
from engine.states import ConcurrencyStrategy, FlushReason, RateLimitWindow

STEP = UUID(int=1)
WORKERS = (UUID(int=901), UUID(int=902))
GROUPS = (
    BatchGroup(STEP, "a", 3, 10.0, 2),
    BatchGroup(STEP, "b", 3, 10.0, 1),
    BatchGroup(UUID(int=2), "", 1, 5.0, 3),
    BatchGroup(UUID(int=3), "", 100, 7.0, 2),
)
BIG = MAX_BATCH_BYTES // 2 - 1
LATER = 1 << 127
"""An arrival in the far future: the item waits from when it is buffered."""


def item(
    number: int, group: BatchGroup, priority: int = 1, size: int = 10, arrival: int = LATER
) -> ReadyTask:
    claims = Claims((), priority, arrival, batch=BatchPlace(group, size))
    return ReadyTask(
        UUID(int=number), 0, "work", priority, {"default": 1}, STEP, STEP, None, claims
    )


def scheduler(slots: int = 10) -> TenantScheduler:
    made = TenantScheduler()
    connect(made, WORKERS[0], slots)
    return made


def connect(made: TenantScheduler, worker_id: UUID, slots: int, now: float = 0.0) -> None:
    made.upsert_worker(
        worker_id,
        actions=frozenset({"work"}),
        slots={"default": slots},
        is_active=True,
        is_paused=False,
        last_heartbeat=now,
    )


def flushed(assignments: list[Assignment]) -> list[tuple[FlushReason, list[int]]]:
    return [
        (made.batch.reason, [task.id.int for task in made.batch.items])
        for made in assignments
        if made.batch is not None
    ]


class BuffersAgainstModel(RuleBasedStateMachine):
    """`waiting` are items with the time since when they wait; `batches` those that run."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = TenantScheduler()
        self.now = 0.0
        self.last_id = 0
        self.slots: dict[UUID, int] = {}
        self.waiting: dict[UUID, tuple[ReadyTask, float]] = {}
        self.batches: list[tuple[BatchGroup, UUID, dict[UUID, ReadyTask]]] = []
        self.undrained: set[UUID] = set()

    @rule(
        items=st.lists(
            st.tuples(st.sampled_from(GROUPS), st.integers(1, 3), st.sampled_from([10, 10, BIG])),
            min_size=1,
            max_size=6,
        )
    )
    def arrive(self, items: list[tuple[BatchGroup, int, int]]) -> None:
        tasks = []
        for group, priority, size in items:
            self.last_id += 1
            tasks.append(item(self.last_id, group, priority, size))
        assert not self.scheduler.offer(tasks, self.now), "a batch needs a look at its buffer"
        self.scheduler.enqueue(tasks)
        for task in tasks:
            self.waiting[task.id] = (task, self.now)
            self.undrained.add(task.id)

    @rule(worker_id=st.sampled_from(WORKERS), slots=st.integers(0, 3))
    def connect(self, worker_id: UUID, slots: int) -> None:
        connect(self.scheduler, worker_id, slots, self.now)
        self.slots[worker_id] = slots

    @rule(seconds=st.sampled_from([0.5, 3.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.drain()
        self.now += seconds
        for worker_id in self.slots:
            self.scheduler.record_heartbeat(worker_id, self.now)

    @rule()
    def drain(self) -> None:
        for task_id in self.undrained & self.waiting.keys():
            self.waiting[task_id] = (self.waiting[task_id][0], self.now)
        self.undrained.clear()
        for made in self.scheduler.drain(self.now):
            self.check(made)
        assert self.scheduler.drain(self.now) == []
        if any(self.free(worker_id) > 0 for worker_id in self.slots):
            assert not [group for group in GROUPS if self.is_due(group)], "a batch was left waiting"
        timed = [group for group in GROUPS if self.line(group) and not self.is_full(group)]
        moments = [self.full_at(group) for group in timed]
        upcoming = [moment for moment in moments if moment > self.now]
        timer = self.scheduler.batches.next_flush_at()
        assert not upcoming or (timer is not None and timer <= min(upcoming))

    def check(self, made: Assignment) -> None:
        assert made.batch is not None
        group, items = made.batch.group, made.batch.items
        line = self.line(group)
        assert list(items) == line[: len(items)], "not the best ones, in order"
        assert 1 <= len(items) <= group.max_size
        size = sum(task.claims.batch.size for task in items if task.claims and task.claims.batch)
        assert size <= MAX_BATCH_BYTES or len(items) == 1
        assert self.is_due(group)
        assert self.free(made.worker_id) > 0
        for task in items:
            del self.waiting[task.id]
        members = {task.id: task for task in items}
        self.batches.append((group, made.worker_id, members))

    def line(self, group: BatchGroup) -> list[ReadyTask]:
        tasks = [
            task
            for task, _ in self.waiting.values()
            if task.claims and task.claims.batch and task.claims.batch.group == group
        ]
        return sorted(tasks, key=score_of, reverse=True)

    def full_at(self, group: BatchGroup) -> float:
        since = min(self.waiting[task.id][1] for task in self.line(group))
        return since + group.interval_seconds

    def is_due(self, group: BatchGroup) -> bool:
        running = sum(1 for found, _, _ in self.batches if found == group)
        is_late = bool(self.line(group)) and self.full_at(group) <= self.now
        return running < group.max_runs and (self.is_full(group) or is_late)

    def is_full(self, group: BatchGroup) -> bool:
        line = self.line(group)
        size = sum(task.claims.batch.size for task in line if task.claims and task.claims.batch)
        return len(line) >= group.max_size or size > MAX_BATCH_BYTES

    def free(self, worker_id: UUID) -> int:
        used = sum(1 for _, found, _ in self.batches if found == worker_id)
        return self.slots[worker_id] - used

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), is_retry=st.booleans())
    def end_item(self, data: st.DataObject, is_retry: bool) -> None:
        index = data.draw(st.integers(0, len(self.batches) - 1))
        _, _, members = self.batches[index]
        task = members.pop(data.draw(st.sampled_from(sorted(members))))
        if not members:
            del self.batches[index]
        self.scheduler.withdraw(task.id, task.retry_count)
        if is_retry:
            again = task._replace(retry_count=task.retry_count + 1, priority=4)
            self.scheduler.enqueue([again, again])
            self.waiting[task.id] = (again, self.now)
            self.undrained.add(task.id)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.waiting)))
        task, _ = self.waiting.pop(task_id)
        self.undrained.discard(task_id)
        self.scheduler.withdraw(task_id, task.retry_count)

    @rule()
    def repeat_what_is_known(self) -> None:
        self.scheduler.enqueue([task for task, _ in self.waiting.values()])
        self.scheduler.enqueue([task for _, _, items in self.batches for task in items.values()])

    @rule()
    def rebuild(self) -> None:
        """Another scheduler takes over from the rows."""
        self.scheduler = TenantScheduler()
        for worker_id, slots in self.slots.items():
            connect(self.scheduler, worker_id, slots, self.now)
        for number, (_, worker_id, members) in enumerate(self.batches):
            for task in members.values():
                self.scheduler.adopt_running(
                    task, worker_id, holds_slot=True, batch_id=UUID(int=10_000 + number)
                )
        self.scheduler.enqueue([task for task, _ in self.waiting.values()])
        self.undrained = set(self.waiting)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert Counter(task.id for task in self.scheduler.waiting()) == Counter(list(self.waiting))
        for worker_id in self.slots:
            running = {task_id for task_id, _ in self.scheduler.running_on(worker_id)}
            expected = {t for _, w, items in self.batches if w == worker_id for t in items}
            assert running == expected

    @invariant()
    def a_batch_takes_one_slot(self) -> None:
        for worker_id in self.slots:
            assert self.scheduler.free_slots(worker_id) == {"default": self.free(worker_id)}


TestBuffersAgainstModel = BuffersAgainstModel.TestCase
TestBuffersAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_interval_starts_with_the_first_item_and_not_with_the_last_flush() -> None:
    made = scheduler()
    group = BatchGroup(STEP, "", 2, 10.0, 100)
    made.enqueue([item(1, group), item(2, group)])
    assert flushed(made.drain(0.0)) == [(FlushReason.SIZE, [1, 2])]
    made.enqueue([item(3, group)])
    assert not made.drain(4.0)
    made.record_heartbeat(WORKERS[0], 13.9)
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
    made.record_heartbeat(WORKERS[0], 10.0)
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
    made.batches.unnote([UUID(int=1)])
    assert [task.id.int for task in made.batches.take_noted()] == [2]
    assert made.batches.take_noted() == []


def test_an_item_outdone_in_its_concurrency_group_leaves_its_buffer() -> None:
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
        made.record_heartbeat(WORKERS[0], now)
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
    assert made.free_slots(WORKERS[0]) == {"default": 3}
    assert all(count <= 2 for count in Counter(taken).values())


def test_the_wishes_of_the_first_item_choose_the_worker_for_all() -> None:
    made = scheduler(10)
    connect(made, WORKERS[1], 1)
    group = BatchGroup(STEP, "", 2, 10.0, 100)
    bound = Wishes(worker_id=WORKERS[1], is_bound=True)
    made.enqueue([item(1, group)._replace(wishes=bound), item(2, group)])
    (assignment,) = made.drain(0.0)
    assert assignment.worker_id == WORKERS[1]
    assert flushed([assignment]) == [(FlushReason.SIZE, [1, 2])]
