"""The scheduler's decisions, one small scene each; test_scheduler_properties.py has the general claims."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from engine.domain.assignment import Obstacle, Placement
from engine.domain.scheduler.machine import ReadyTask, TenantScheduler

ONE = {"default": 1}
VERSION, STEP = UUID(int=1), UUID(int=2)
W1, W2 = UUID(int=101), UUID(int=102)


def task(
    number: int,
    action_id: str = "a",
    *,
    priority: int = 1,
    retry_count: int = 0,
    slots: Mapping[str, int] = ONE,
    placement: Placement | None = None,
) -> ReadyTask:
    return ReadyTask(
        UUID(int=number), retry_count, action_id, priority, slots, VERSION, STEP, placement
    )


def add_worker(
    scheduler: TenantScheduler,
    worker_id: UUID = W1,
    *,
    actions: tuple[str, ...] = ("a",),
    slots: Mapping[str, int] = ONE,
    last_heartbeat: float | None = 0.0,
    is_active: bool = True,
    is_paused: bool = False,
) -> None:
    scheduler.workers.upsert(
        worker_id,
        actions=frozenset(actions),
        slots=slots,
        is_active=is_active,
        is_paused=is_paused,
        last_heartbeat=last_heartbeat,
    )


def drained(scheduler: TenantScheduler, now: float = 0.0) -> list[int]:
    return [assignment.task.id.int for assignment in scheduler.drain(now)]


def offered(scheduler: TenantScheduler, *tasks: ReadyTask, now: float = 0.0) -> list[int]:
    return [assignment.task.id.int for assignment in scheduler.offer(tasks, now)]


def test_an_offer_takes_a_slot_and_forgets_what_does_not_fit() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler)
    assert offered(scheduler, task(1), task(2)) == [1]
    assert scheduler.workers.free_slots(W1) == {"default": 0}
    assert scheduler.workers.release(UUID(int=1))
    assert drained(scheduler) == []
    assert offered(scheduler, task(3)) == [3]


def test_an_offer_does_not_overtake_equals_but_higher_priority_does() -> None:
    scheduler = TenantScheduler()
    scheduler.enqueue([task(1, priority=2)])
    add_worker(scheduler, slots={"default": 9})
    assert offered(scheduler, task(2, priority=2), task(3, priority=1)) == []
    assert drained(scheduler) == [1]
    assert offered(scheduler, task(2, priority=2)) == [2]


def test_a_freed_slot_belongs_to_the_waiting_before_a_new_task_of_another_action() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, actions=("a", "b"))
    assert offered(scheduler, task(1)) == [1]
    scheduler.enqueue([task(2)])
    assert drained(scheduler) == []
    scheduler.workers.release(UUID(int=1))
    assert offered(scheduler, task(3, "b")) == []
    assert drained(scheduler) == [2]


def test_priority_then_age_decides() -> None:
    scheduler = TenantScheduler()
    scheduler.enqueue([task(5), task(3), task(4, priority=3), task(6, priority=3)])
    add_worker(scheduler, slots={"default": 3})
    assert drained(scheduler) == [4, 6, 3]


def test_a_task_of_another_shape_is_not_held_up() -> None:
    scheduler = TenantScheduler()
    scheduler.enqueue([task(1, slots={"gpu": 1}), task(2), task(3, slots={"default": 1, "gpu": 1})])
    add_worker(scheduler, slots={"default": 5})
    assert drained(scheduler) == [2]
    add_worker(scheduler, W2, slots={"default": 5, "gpu": 2})
    assert sorted(drained(scheduler)) == [1, 3]


def test_a_freed_slot_of_a_second_type_wakes_the_task_that_needs_both() -> None:
    scheduler = TenantScheduler()
    both = {"default": 1, "gpu": 1}
    add_worker(scheduler, slots={"default": 5, "gpu": 1})
    scheduler.enqueue([task(1, slots=both), task(2, slots=both)])
    assert drained(scheduler) == [1]
    scheduler.workers.release(UUID(int=1))
    assert drained(scheduler) == [2]


def test_actions_that_share_a_worker_take_turns() -> None:
    scheduler = TenantScheduler()
    scheduler.enqueue([task(n, "a") for n in range(1, 11)])
    scheduler.enqueue([task(n, "b") for n in range(11, 21)])
    add_worker(scheduler, actions=("a", "b"), slots={"default": 6})
    assert sorted(drained(scheduler)) == [1, 2, 3, 11, 12, 13]


def test_load_spreads_over_workers_by_free_slots() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, W1, slots={"default": 4})
    add_worker(scheduler, W2, slots={"default": 2}, actions=("a", "b"))
    scheduler.offer([task(n) for n in range(1, 5)], 0.0)
    assert len(scheduler.workers.running_on(W1)) == 3
    assert len(scheduler.workers.running_on(W2)) == 1


def test_stale_paused_and_silent_workers_get_nothing_until_they_are_back() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, last_heartbeat=None)
    scheduler.enqueue([task(1), task(2), task(3)])
    assert drained(scheduler) == []
    scheduler.workers.record_heartbeat(W1, 10.0)
    add_worker(scheduler, last_heartbeat=10.0, is_paused=True)
    assert drained(scheduler, 11.0) == []
    add_worker(scheduler, last_heartbeat=10.0)
    assert drained(scheduler, 15.0) == []
    scheduler.workers.record_heartbeat(W1, 16.0)
    assert drained(scheduler, 16.0) == [1]
    add_worker(scheduler, last_heartbeat=16.0, is_active=False)
    scheduler.workers.release(UUID(int=1))
    assert drained(scheduler, 16.0) == []
    add_worker(scheduler, last_heartbeat=16.0)
    assert drained(scheduler, 16.0) == [2]


def test_release_is_idempotent_and_fenced_by_attempt() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler)
    scheduler.offer([task(1, retry_count=2)], 0.0)
    assert not scheduler.workers.release(UUID(int=1), 1)
    assert scheduler.workers.release(UUID(int=1), 2)
    assert not scheduler.workers.release(UUID(int=1), 2)
    assert scheduler.workers.free_slots(W1) == {"default": 1}


def test_a_newer_attempt_replaces_an_older_and_never_the_reverse() -> None:
    scheduler = TenantScheduler()
    scheduler.enqueue([task(1, retry_count=1), task(1, retry_count=0), task(1, retry_count=1)])
    assert scheduler.waiting_count() == 1
    scheduler.enqueue([task(1, retry_count=2, priority=4)])
    add_worker(scheduler)
    assert [a.task.retry_count for a in scheduler.drain(0.0)] == [2]
    scheduler.enqueue([task(1, retry_count=2)])
    assert scheduler.waiting_count() == 0
    scheduler.enqueue([task(1, retry_count=3)])
    assert (scheduler.waiting_count(), scheduler.workers.running_count()) == (1, 0)


def test_discard_forgets_waiting_and_running() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler)
    scheduler.enqueue([task(1), task(2), task(3)])
    assert drained(scheduler) == [1]
    scheduler.discard(UUID(int=2))
    scheduler.discard(UUID(int=1))
    assert drained(scheduler) == [3]


def test_adopted_tasks_hold_slots_whatever_order_facts_arrive_in() -> None:
    scheduler = TenantScheduler()
    scheduler.adopt_running(task(1), W1, holds_slot=True)
    scheduler.adopt_running(task(2), W1, holds_slot=True)
    scheduler.adopt_running(task(3), W1, holds_slot=False)
    add_worker(scheduler, slots=ONE)
    assert scheduler.workers.free_slots(W1) == {"default": -1}
    scheduler.enqueue([task(4)])
    scheduler.workers.release(UUID(int=1))
    assert drained(scheduler) == []
    scheduler.workers.release(UUID(int=2))
    assert drained(scheduler) == [4]


def test_a_removed_worker_takes_its_tasks_with_it() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler)
    scheduler.offer([task(1)], 0.0)
    scheduler.workers.remove(W1)
    assert scheduler.workers.running_count() == 0
    scheduler.enqueue([task(1, retry_count=1)])
    add_worker(scheduler, W2)
    assert drained(scheduler) == [1]


def test_a_long_queue_keeps_only_its_head_and_asks_for_more() -> None:
    scheduler = TenantScheduler(queue_head_limit=4)
    scheduler.enqueue([task(n) for n in range(10, 0, -1)])
    assert scheduler.waiting_count() == 4
    assert scheduler.queues.wants_refill() == []
    add_worker(scheduler, slots={"default": 100})
    assert drained(scheduler) == [1, 2, 3, 4]
    assert scheduler.queues.wants_refill() == ["a"]
    assert offered(scheduler, task(11)) == [], "a new task overtook those in the database"
    scheduler.enqueue([task(11)])
    assert drained(scheduler) == []
    scheduler.enqueue([task(n) for n in range(5, 9)])
    scheduler.queues.mark_refilled("a", has_more=True, last=task(8))
    assert drained(scheduler) == [5, 6, 7, 8]
    assert scheduler.queues.wants_refill() == ["a"]
    scheduler.enqueue([task(9), task(10), task(11)])
    scheduler.queues.mark_refilled("a", has_more=False)
    assert drained(scheduler) == [9, 10, 11]
    assert scheduler.queues.wants_refill() == []
    assert offered(scheduler, task(12)) == [12]


def test_rows_of_another_process_are_read_before_new_tasks_start() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, slots={"default": 9})
    scheduler.queues.mark_has_more("a")
    assert offered(scheduler, task(5)) == []
    assert scheduler.queues.wants_refill() == ["a"]
    scheduler.queues.mark_has_more("a")
    scheduler.queues.mark_refilled("a", has_more=False)
    assert scheduler.queues.wants_refill() == ["a"], "a hint that came while reading was lost"
    scheduler.enqueue([task(4), task(5)])
    scheduler.queues.mark_refilled("a", has_more=False)
    assert drained(scheduler) == [4, 5]


def test_a_better_task_waits_too_while_rows_of_another_process_are_unread() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, slots={"default": 9})
    scheduler.enqueue([task(1, slots={"gpu": 1})])
    scheduler.queues.mark_has_more("a")
    assert offered(scheduler, task(2, priority=3)) == []
    assert scheduler.queues.wants_refill() == ["a"]
    scheduler.queues.mark_refilled("a", has_more=False)
    assert offered(scheduler, task(2, priority=3)) == [2]


def test_a_new_task_may_use_what_those_before_it_cannot() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, slots={"default": 2})
    scheduler.enqueue([task(1, slots={"default": 3})])
    assert drained(scheduler) == []
    assert offered(scheduler, task(2)) == [2]


def test_tasks_without_slots_run_on_any_worker() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, slots={})
    scheduler.enqueue([task(1, slots={}), task(2, slots={"default": 0})])
    assert drained(scheduler) == [1, 2]


def test_explain_names_the_nearest_obstacle() -> None:
    scheduler = TenantScheduler()
    waiting = task(9)

    def obstacle(now: float = 0.0) -> Obstacle | None:
        reason = scheduler.explain(waiting, now)
        return None if reason is None else reason.obstacle

    assert obstacle() is Obstacle.NO_WORKER
    add_worker(scheduler, W1, is_active=False)
    assert obstacle() is Obstacle.WORKERS_INACTIVE
    add_worker(scheduler, W1)
    assert obstacle(5.0) is Obstacle.WORKERS_STALE
    add_worker(scheduler, W2, is_paused=True, last_heartbeat=5.0)
    assert obstacle(5.0) is Obstacle.WORKERS_PAUSED
    scheduler.workers.record_heartbeat(W1, 5.0)
    assert obstacle(5.0) is None
    scheduler.offer([task(1)], 5.0)
    reason = scheduler.explain(waiting, 5.0)
    assert reason is not None
    assert (reason.obstacle, reason.worker_id) == (Obstacle.SLOTS_FULL, W1)
    assert (reason.slot_type, reason.used, reason.total) == ("default", 1, 1)
    scheduler.enqueue([task(2), task(3), waiting])
    reason = scheduler.explain(waiting, 5.0)
    assert reason is not None
    assert reason.ahead == 2
    scheduler.workers.release(UUID(int=1))
    assert obstacle(5.0) is Obstacle.BEHIND_OTHERS
