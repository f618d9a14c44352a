"""What the scheduler promises whatever happens, played against a plain model of the database."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.domain.affinity import affinity_of
from engine.domain.assignment import Obstacle, Placement, needs_of, score_of
from engine.domain.scheduler.machine import Assignment, ReadyTask, TenantScheduler
from engine.domain.scheduler.queue import WIDENING
from engine.types import DesiredLabel

LIMIT = 4
ACTIONS = ("a", "b", "c")
SHAPES: tuple[Mapping[str, int], ...] = (
    {"default": 1},
    {"default": 2},
    {"default": 1, "gpu": 1},
    {"gpu": 1},
    {},
)
STEP = UUID(int=1)
WORKERS = tuple(UUID(int=1000 + n) for n in range(4))
PLACEMENTS = (
    None,
    Placement((DesiredLabel("zone", "eu", is_required=True),)),
    Placement((DesiredLabel("zone", "us"), DesiredLabel("zone", "eu", weight=-50))),
    Placement(worker_id=WORKERS[0]),
    Placement(worker_id=WORKERS[0], is_bound=True),
    Placement((DesiredLabel("zone", "eu", is_required=True),), WORKERS[1], is_bound=True),
)
Wanted = tuple[str, int, Mapping[str, int], "Placement | None"]

actions = st.sampled_from(ACTIONS)
shapes = st.sampled_from(SHAPES)
priorities = st.integers(1, 3)
placement = st.sampled_from((*[None] * len(PLACEMENTS), *PLACEMENTS))
new_tasks = st.lists(st.tuples(actions, priorities, shapes, placement), min_size=1, max_size=8)
zones = st.sampled_from(["", "eu", "us"])
capacities = st.fixed_dictionaries(
    {"default": st.integers(0, 3)}, optional={"gpu": st.integers(0, 2)}
)


@dataclass
class Worker:
    actions: frozenset[str]
    slots: Mapping[str, int]
    is_active: bool
    is_paused: bool
    last_heartbeat: float | None
    zone: str = ""

    @property
    def labels(self) -> dict[str, str | int]:
        return {"zone": self.zone} if self.zone else {}

    def may_take(self, now: float) -> bool:
        is_fresh = self.last_heartbeat is not None and now - self.last_heartbeat < 5
        return self.is_active and not self.is_paused and is_fresh


class SchedulerAgainstModel(RuleBasedStateMachine):
    """`queued` and `running` are the rows; the scheduler must never contradict them."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = TenantScheduler(queue_head_limit=LIMIT)
        self.now = 0.0
        self.last_id = 0
        self.workers: dict[UUID, Worker] = {}
        self.queued: dict[UUID, ReadyTask] = {}
        self.running: dict[UUID, tuple[ReadyTask, UUID]] = {}
        self.unseen: set[UUID] = set()
        self.reads: list[tuple[str, list[ReadyTask], bool]] = []

    def make(self, wanted: Sequence[Wanted]) -> list[ReadyTask]:
        tasks = []
        for action_id, priority, slots, placement in wanted:
            self.last_id += 1
            task_id = UUID(int=self.last_id)
            tasks.append(ReadyTask(task_id, 0, action_id, priority, slots, STEP, STEP, placement))
        return tasks

    def apply(self, assignments: Sequence[Assignment]) -> None:
        """Write what was decided as the database would, refusing what is no longer queued."""
        for task, worker_id, *_ in assignments:
            if self.queued.get(task.id) != task:
                assert self.running.get(task.id, (None,))[0] != task, "assigned twice"
                self.scheduler.discard(task.id)
                continue
            worker = self.workers[worker_id]
            assert worker.may_take(self.now)
            assert task.action_id in worker.actions
            self.check_placement(task, worker_id)
            del self.queued[task.id]
            self.unseen.discard(task.id)
            self.running[task.id] = (task, worker_id)
        written = [a.task for a in assignments if a.task.id in self.running]
        for task in written:
            overtaken = [
                other
                for other in self.queued.values()
                if (other.action_id, needs_of(other)) == (task.action_id, needs_of(task))
                and score_of(other) > score_of(task)
                and other.id not in self.unseen
            ]
            assert not overtaken

    def check_placement(self, task: ReadyTask, worker_id: UUID) -> None:
        """No worker that its task excludes; the one asked for if it had the slots for it."""
        if task.placement is None:
            return
        assert affinity_of(task.placement.labels, self.workers[worker_id].labels) is not None
        if task.placement.worker_id == worker_id:
            return
        assert not task.placement.is_bound
        preferred = self.workers.get(task.placement.worker_id) if task.placement.worker_id else None
        if preferred and preferred.may_take(self.now) and task.action_id in preferred.actions:
            assert task.placement.worker_id
            free = self.scheduler.workers.free_slots(task.placement.worker_id)
            is_labelled = affinity_of(task.placement.labels, preferred.labels) is not None
            fits = all(free.get(name, 0) >= units for name, units in task.slots.items())
            assert not (is_labelled and fits)

    @rule(wanted=new_tasks)
    def trigger(self, wanted: list[Wanted]) -> None:
        tasks = self.make(wanted)
        assignments = self.scheduler.offer(tasks, self.now)
        taken = {a.task.id for a in assignments}
        assert len(taken) == len(assignments)
        self.queued.update({task.id: task for task in tasks})
        self.apply(assignments)
        self.scheduler.enqueue([task for task in tasks if task.id not in taken])

    @rule(wanted=new_tasks)
    def trigger_elsewhere(self, wanted: list[Wanted]) -> None:
        for task in self.make(wanted):
            self.queued[task.id] = task
            self.unseen.add(task.id)
            self.scheduler.queues.mark_has_more(task.action_id)

    @rule()
    def drain(self) -> None:
        while assignments := self.scheduler.drain(self.now):
            self.apply(assignments)
        for task in self.queued.values():
            reason = self.scheduler.explain(task, self.now)
            assert reason is not None, "a task that could run was left waiting"
            if reason.obstacle is Obstacle.BEHIND_OTHERS:
                assert reason.is_more_ahead

    @precondition(lambda self: not self.reads)
    @rule()
    def begin_reads(self) -> None:
        for action_id in self.scheduler.queues.wants_refill():
            rows = [task for task in self.queued.values() if task.action_id == action_id]
            rows.sort(key=score_of, reverse=True)
            limit = self.scheduler.queues.head_limit(action_id)
            self.reads.append((action_id, rows[:limit], len(rows) > limit))

    @precondition(lambda self: self.reads)
    @rule()
    def finish_read(self) -> None:
        action_id, rows, has_more = self.reads.pop(0)
        self.unseen.difference_update(task.id for task in rows)
        self.scheduler.enqueue(rows)
        self.scheduler.queues.mark_refilled(
            action_id, has_more=has_more, last=rows[-1] if rows else None
        )

    @precondition(lambda self: self.running)
    @rule(data=st.data(), is_retry=st.booleans())
    def end(self, data: st.DataObject, is_retry: bool) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.running)))
        task, _ = self.running.pop(task_id)
        assert self.scheduler.workers.release(task_id, task.retry_count)
        assert not self.scheduler.workers.release(task_id, task.retry_count)
        if is_retry:
            retry = task._replace(retry_count=task.retry_count + 1, priority=4)
            self.queued[task_id] = retry
            self.scheduler.enqueue([retry])

    @precondition(lambda self: self.queued)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.queued)))
        del self.queued[task_id]
        self.scheduler.discard(task_id)

    @rule(
        worker_id=st.sampled_from(WORKERS),
        actions=st.frozensets(actions, min_size=1),
        slots=capacities,
        is_active=st.sampled_from([True, True, False]),
        has_beaten=st.sampled_from([True, True, False]),
    )
    def connect(
        self,
        worker_id: UUID,
        actions: frozenset[str],
        slots: Mapping[str, int],
        is_active: bool,
        has_beaten: bool,
    ) -> None:
        known = self.workers.get(worker_id)
        if known is not None:
            slots = known.slots
        last_heartbeat = self.now if has_beaten else None
        worker = Worker(actions, slots, is_active, False, last_heartbeat)
        if known is not None:
            worker.zone = known.zone
        self.workers[worker_id] = worker
        self._tell(worker_id, worker)

    def _tell(self, worker_id: UUID, worker: Worker) -> None:
        self.scheduler.workers.upsert(
            worker_id,
            actions=worker.actions,
            slots=worker.slots,
            is_active=worker.is_active,
            is_paused=worker.is_paused,
            last_heartbeat=worker.last_heartbeat,
        )

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), change=st.sampled_from(["beat", "pause", "resume", "lose", "listen"]))
    def change_worker(self, data: st.DataObject, change: str) -> None:
        worker_id = data.draw(st.sampled_from(sorted(self.workers)))
        worker = self.workers[worker_id]
        if change == "beat":
            worker.last_heartbeat = self.now
            self.scheduler.workers.record_heartbeat(worker_id, self.now)
        elif change in ("pause", "resume"):
            worker.is_paused = change == "pause"
            self._tell(worker_id, worker)
        else:
            worker.is_active = change == "listen"
            self._tell(worker_id, worker)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), zone=zones)
    def label_worker(self, data: st.DataObject, zone: str) -> None:
        worker_id = data.draw(st.sampled_from(sorted(self.workers)))
        self.workers[worker_id].zone = zone
        self.scheduler.workers.set_labels(worker_id, self.workers[worker_id].labels)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def remove_worker(self, data: st.DataObject) -> None:
        """Lose a worker for good: what ran on it is queued again as a new attempt."""
        worker_id = data.draw(st.sampled_from(sorted(self.workers)))
        del self.workers[worker_id]
        lost = [task for task, holder in self.running.values() if holder == worker_id]
        assert sorted(self.scheduler.workers.running_on(worker_id)) == sorted(
            (task.id, task.retry_count) for task in lost
        )
        self.scheduler.workers.remove(worker_id)
        for task in lost:
            del self.running[task.id]
            retry = task._replace(retry_count=task.retry_count + 1, priority=4)
            self.queued[task.id] = retry
            self.scheduler.enqueue([retry])

    @rule(seconds=st.sampled_from([0.1, 2.0, 5.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def slots_are_counted_right(self) -> None:
        used: dict[UUID, Counter[str]] = defaultdict(Counter)
        for task, worker_id in self.running.values():
            used[worker_id].update(dict(task.slots))
        assert self.scheduler.workers.running_count() == len(self.running)
        for worker_id, worker in self.workers.items():
            free = self.scheduler.workers.free_slots(worker_id)
            for slot_type in {*worker.slots, *used[worker_id]}:
                total = worker.slots.get(slot_type, 0)
                assert free.get(slot_type, 0) == total - used[worker_id][slot_type]
                assert free.get(slot_type, 0) >= 0

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.scheduler.waiting_count() <= LIMIT * WIDENING * len(ACTIONS)

    def teardown(self) -> None:
        """Nothing is lost: with room for everybody's placement, everything queued is assigned."""
        room = {"default": 9999, "gpu": 9999}
        for worker_id, zone in zip((*WORKERS[:2], UUID(int=2000)), ("eu", "eu", "us"), strict=True):
            if worker_id in self.workers:
                self.workers[worker_id].slots = room
            self.connect(worker_id, frozenset(ACTIONS), room, True, True)
            self.workers[worker_id].zone = zone
            self.scheduler.workers.set_labels(worker_id, {"zone": zone})
        for _ in range(len(self.queued) + len(self.reads) + 2):
            while self.reads:
                self.finish_read()
            self.begin_reads()
            while self.reads:
                self.finish_read()
            self.drain()
        assert not self.queued


TestSchedulerAgainstModel = SchedulerAgainstModel.TestCase
TestSchedulerAgainstModel.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)


def with_worker(slots: int) -> TenantScheduler:
    scheduler = TenantScheduler()
    scheduler.workers.upsert(
        WORKERS[0],
        actions=frozenset(ACTIONS),
        slots={"default": slots},
        is_active=True,
        is_paused=False,
        last_heartbeat=0.0,
    )
    return scheduler


def tasks_of(wanted: Sequence[tuple[str, int]]) -> list[ReadyTask]:
    return [
        ReadyTask(UUID(int=n), 0, action_id, priority, SHAPES[0], STEP, STEP)
        for n, (action_id, priority) in enumerate(wanted, 1)
    ]


plain_tasks = st.lists(st.tuples(actions, priorities), max_size=30)


@given(before=plain_tasks, wanted=plain_tasks, slots=st.integers(0, 40))
def test_an_offer_decides_what_a_drain_would(
    before: list[tuple[str, int]], wanted: list[tuple[str, int]], slots: int
) -> None:
    tasks = tasks_of([*before, *wanted])
    old, new = tasks[: len(before)], tasks[len(before) :]
    fast, slow = with_worker(slots), with_worker(slots)
    for scheduler in (fast, slow):
        scheduler.enqueue(old)
        scheduler.drain(0.0)
    by_offer = {a.task.id for a in fast.offer(new, 0.0)}
    fast.enqueue([task for task in new if task.id not in by_offer])
    assert fast.drain(0.0) == [], "the offer left something that could run"
    slow.enqueue(new)
    assert by_offer == {a.task.id for a in slow.drain(0.0)}


@given(
    counts=st.fixed_dictionaries({a: st.integers(0, 20) for a in ACTIONS}), slots=st.integers(1, 30)
)
def test_no_action_gets_more_than_one_turn_ahead_of_another_that_waits(
    counts: dict[str, int], slots: int
) -> None:
    scheduler = with_worker(slots)
    scheduler.enqueue(tasks_of([(a, 1) for a, count in counts.items() for _ in range(count)]))
    got = Counter(a.task.action_id for a in scheduler.drain(0.0))
    assert got.total() == min(slots, sum(counts.values()))
    for action_id, count in counts.items():
        if got[action_id] < count:
            assert all(got[action_id] >= other - 1 for other in got.values())


@given(counts=st.fixed_dictionaries({a: st.integers(5, 20) for a in ACTIONS}))
def test_turns_go_on_from_slot_to_slot(counts: dict[str, int]) -> None:
    scheduler = with_worker(1)
    scheduler.enqueue(tasks_of([(a, 1) for a, count in counts.items() for _ in range(count)]))
    order = []
    for _ in range(15):
        (assignment,) = scheduler.drain(0.0)
        order.append(assignment.task.action_id)
        scheduler.workers.release(assignment.task.id)
    assert Counter(order) == dict.fromkeys(ACTIONS, 5)


@given(wanted=plain_tasks, slots=st.integers(0, 10))
def test_a_new_task_is_explained_by_nothing_exactly_if_an_offer_takes_it(
    wanted: list[tuple[str, int]], slots: int
) -> None:
    scheduler = with_worker(slots)
    *old, new = tasks_of([*wanted, ("a", 2)])
    scheduler.enqueue(old)
    scheduler.drain(0.0)
    is_free = scheduler.explain(new, 0.0) is None
    assert is_free == bool(scheduler.offer([new], 0.0))
