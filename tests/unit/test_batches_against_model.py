"""Buffers of batch tasks against a plain model of them, whatever happens."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.domain.assignment import (
    ReadyTask,
    score_of,
)
from engine.domain.batches import MAX_BATCH_BYTES, BatchGroup
from engine.domain.scheduler.machine import Assignment, TenantScheduler
from tests.unit.batch_items import (
    BIG,
    GROUPS,
    WORKERS,
    connect,
    item,
)


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
            self.scheduler.workers.record_heartbeat(worker_id, self.now)

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
            running = {task_id for task_id, _ in self.scheduler.workers.running_on(worker_id)}
            expected = {t for _, w, items in self.batches if w == worker_id for t in items}
            assert running == expected

    @invariant()
    def a_batch_takes_one_slot(self) -> None:
        for worker_id in self.slots:
            assert self.scheduler.workers.free_slots(worker_id) == {"default": self.free(worker_id)}


TestBuffersAgainstModel = BuffersAgainstModel.TestCase
TestBuffersAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
