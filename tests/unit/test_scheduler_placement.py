"""Tasks that ask for certain workers, by label or by name: who gets them, and what waits."""

from __future__ import annotations

from uuid import UUID

from engine.domain.assignment import Obstacle, Placement
from engine.domain.scheduler.machine import TenantScheduler
from engine.types import DesiredLabel
from tests.unit.test_scheduler import W1, W2, add_worker, drained, offered, task

MUCH = {"default": 9}
IN_EU = Placement((DesiredLabel("zone", "eu", is_required=True),))
RATHER_EU = Placement((DesiredLabel("zone", "eu"),))


def add_labelled(
    scheduler: TenantScheduler, worker_id: UUID, slots: int = 9, **labels: str | int
) -> None:
    add_worker(scheduler, worker_id, slots={"default": slots})
    scheduler.workers.set_labels(worker_id, labels)


def ran_on(scheduler: TenantScheduler) -> dict[int, UUID]:
    return {one.task.id.int: one.worker_id for one in scheduler.drain(0.0)}


def test_the_best_labels_win_over_the_most_free_slots() -> None:
    scheduler = TenantScheduler()
    add_labelled(scheduler, W1, slots=9)
    add_labelled(scheduler, W2, slots=1, zone="eu")
    (assignment,) = scheduler.offer([task(1, placement=RATHER_EU)], 0.0)
    assert assignment.worker_id == W2
    (assignment,) = scheduler.offer([task(2, placement=RATHER_EU)], 0.0)
    assert assignment.worker_id == W1, "a preferred worker that is full is not waited for"


def test_equals_take_turns() -> None:
    scheduler = TenantScheduler()
    add_labelled(scheduler, W1, zone="eu")
    add_labelled(scheduler, W2, zone="eu")
    scheduler.enqueue([task(number, placement=IN_EU) for number in range(1, 9)])
    workers = list(ran_on(scheduler).values())
    assert (workers.count(W1), workers.count(W2)) == (4, 4)


def test_what_no_worker_may_take_waits_and_blocks_nobody() -> None:
    scheduler = TenantScheduler()
    add_labelled(scheduler, W1, zone="us")
    waiting = task(1, priority=3, placement=IN_EU)
    scheduler.enqueue([waiting, task(2, priority=3, placement=IN_EU), task(3)])
    assert drained(scheduler) == [3]
    assert offered(scheduler, task(4)) == [4]
    reason = scheduler.explain(waiting, 0.0)
    assert reason is not None
    assert (reason.obstacle, reason.worker_id) == (Obstacle.LABEL_MISMATCH, W1)


def test_labels_count_from_the_moment_they_change() -> None:
    scheduler = TenantScheduler()
    add_labelled(scheduler, W1, zone="us")
    scheduler.enqueue([task(1, placement=IN_EU)])
    assert drained(scheduler) == []
    scheduler.workers.set_labels(W1, {"zone": "eu"})
    assert drained(scheduler) == [1]
    scheduler.workers.set_labels(W1, {"zone": "us"})
    assert offered(scheduler, task(2, placement=IN_EU)) == []


def test_a_bound_task_waits_for_its_worker() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, W1, slots={"default": 1})
    add_worker(scheduler, W2, slots=MUCH)
    bound = Placement(worker_id=W1, is_bound=True)
    scheduler.enqueue([task(1, placement=bound), task(2, placement=bound), task(3)])
    assert ran_on(scheduler) == {1: W1, 3: W2}
    scheduler.workers.release(UUID(int=1))
    assert ran_on(scheduler) == {2: W1}
    scheduler.workers.remove(W1)
    scheduler.enqueue([task(4, placement=bound)])
    assert drained(scheduler) == []
    reason = scheduler.explain(task(4, placement=bound), 0.0)
    assert reason is not None
    assert reason.obstacle is Obstacle.BOUND_TO_ANOTHER


def test_a_preferred_worker_is_taken_if_it_may_and_not_waited_for() -> None:
    scheduler = TenantScheduler()
    add_worker(scheduler, W1, slots={"default": 1})
    add_worker(scheduler, W2, slots=MUCH)
    scheduler.enqueue(
        [task(1, placement=Placement(worker_id=W1)), task(2, placement=Placement(worker_id=W1))]
    )
    assert ran_on(scheduler) == {1: W1, 2: W2}


def test_a_head_full_of_tasks_that_nobody_may_take_does_not_hide_the_rest() -> None:
    scheduler = TenantScheduler(queue_head_limit=4)
    add_labelled(scheduler, W1, zone="us")
    rows = [task(number, priority=3, placement=IN_EU) for number in range(1, 40)] + [task(40)]
    scheduler.queues.mark_has_more("a")
    placed: list[int] = []
    while wanted := scheduler.queues.wants_refill():
        assert wanted == ["a"]
        limit = scheduler.queues.head_limit("a")
        scheduler.enqueue(rows[:limit])
        has_more = len(rows) > limit
        scheduler.queues.mark_refilled("a", has_more=has_more, last=rows[:limit][-1])
        placed += drained(scheduler)
    assert placed == [40]
