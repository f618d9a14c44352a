"""Rate limits in the scheduler: nothing is given out twice, nobody stands in anybody's way, nobody starves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.domain.assignment import Claims, Obstacle, ReadyTask
from engine.domain.batches import BatchGroup, BatchPlace
from engine.domain.rate_limits import LimitClaim, LimitState
from engine.domain.scheduler.machine import Assignment, TenantScheduler
from engine.states import RateLimitWindow

SECOND, MINUTE = RateLimitWindow.SECOND, RateLimitWindow.MINUTE
VERSION, STEP, WORKER = UUID(int=1), UUID(int=2), UUID(int=100)
ONE = {"default": 1}


def task(
    number: int, *limits: LimitClaim, action_id: str = "a", priority: int = 1, retry_count: int = 0
) -> ReadyTask:
    return ReadyTask(
        UUID(int=number), retry_count, action_id, priority, ONE, VERSION, STEP, limits=limits
    )


def one(key: str = "k", units: int = 1) -> LimitClaim:
    return LimitClaim(key, units)


def brought(limit: int, key: str = "k", units: int = 1) -> LimitClaim:
    return LimitClaim(key, units, limit, SECOND)


def state(limit: int, value: int | None = None, **options: Any) -> LimitState:
    return LimitState(limit, SECOND, limit if value is None else value, 0.0, **options)


def scheduler(slots: int = 100, **limits: LimitState) -> TenantScheduler:
    made = TenantScheduler()
    made.upsert_worker(
        WORKER,
        actions=frozenset("ab"),
        slots={"default": slots},
        is_active=True,
        is_paused=False,
        last_heartbeat=0.0,
    )
    for key, found in limits.items():
        made.limits.set(key, found)
    return made


def drained(made: TenantScheduler, now: float = 0.0) -> list[int]:
    made.record_heartbeat(WORKER, now)
    return [assignment.task.id.int for assignment in made.drain(now)]


def test_no_more_is_given_out_than_a_window_holds_and_the_next_goes_on() -> None:
    made = scheduler(k=state(2))
    made.enqueue([task(n, one()) for n in range(1, 6)])
    assert drained(made) == [1, 2]
    assert made.limits.next_at() == 1.0
    assert drained(made, 0.9) == []
    assert drained(made, 1.0) == [3, 4]
    assert drained(made, 2.0) == [5]
    assert made.limits.next_at() is None
    assert made.limits.room_count() == made.limits.parked_count() == 0


def test_a_refused_task_stands_in_nobodys_way() -> None:
    made = scheduler(k=state(0))
    made.enqueue([task(1, one()), task(2), task(3, one("other")), task(4, brought(1, "mine"))])
    assert drained(made) == [2, 4]
    assert [str(found.refusal) for found in made.limits.take_refused()] == [
        'Rate limit "k": 1 wanted, 0 of 0 left in this second.',
        'Rate limit "other" has not been set.',
    ]


def test_that_an_attempt_waits_is_told_once() -> None:
    made = scheduler(k=state(1))
    made.enqueue([task(1, one()), task(2, one()), task(3, one())])
    drained(made)
    assert [found.task.id.int for found in made.limits.take_refused()] == [2, 3]
    made.enqueue([task(4, one(), priority=3)])
    assert drained(made, 1.0) == [4]
    assert [found.task.id.int for found in made.limits.take_refused()] == []
    made.withdraw(UUID(int=3), 0)
    made.enqueue([task(3, one(), retry_count=1)])
    drained(made, 1.5)
    assert [found.task.retry_count for found in made.limits.take_refused()] == [1]


def test_all_units_or_none() -> None:
    made = scheduler(k=state(5), m=state(1, 0))
    made.enqueue([task(1, one("k", 5), one("m")), task(2, one("k", 5))])
    assert drained(made) == [2]
    assert drained(made, 1.0) == [1]


def test_units_nobody_can_use_go_to_the_next_who_waits() -> None:
    made = scheduler(k=state(2, 0), m=state(1, 0, paused_until=9.0))
    made.enqueue([task(1, one("k"), one("m")), task(2, one("k")), task(3, one("k"))])
    assert drained(made) == []
    assert drained(made, 1.0) == [2, 3]
    assert drained(made, 9.0) == [1]


def test_one_who_wants_more_than_is_left_lets_others_pass_and_is_first_in_the_next_window() -> None:
    made = scheduler(k=state(5, 3))
    made.enqueue([task(1, one(units=5)), *(task(n, one()) for n in range(2, 9))])
    assert drained(made) == [2, 3, 4]
    assert drained(made, 1.0) == [1]
    assert drained(made, 2.0) == [5, 6, 7, 8]


def test_one_who_wants_more_than_there_ever_is_waits_for_a_new_limit_alone() -> None:
    made = scheduler(k=state(2))
    made.enqueue([task(1, one(units=3)), task(2, one())])
    assert drained(made) == [2]
    assert made.limits.next_at() is None
    made.limits.set("k", LimitState(3, SECOND, 3, 5.0))
    assert drained(made, 5.0) == [1]


def test_one_who_wants_more_than_there_ever_is_keeps_nobody_waiting() -> None:
    made = scheduler(k=state(2, 0))
    made.enqueue([task(1, one(units=3)), task(2, one()), task(3, one(units=3)), task(4, one())])
    assert drained(made) == []
    assert drained(made, 1.0) == [2, 4]


def test_units_of_what_was_not_written_are_given_back() -> None:
    made = scheduler(k=state(1))
    made.enqueue([task(1, one()), task(2, one())])
    (assignment,) = made.drain(0.0)
    assert drained(made) == []
    made.withdraw(assignment.task.id, 0)
    made.limits.give_back(assignment.taken[assignment.task.id])
    assert drained(made) == [2]


def test_what_is_given_back_after_its_window_changes_nothing() -> None:
    made = scheduler(k=state(1))
    made.enqueue([task(1, one()), task(2, one()), task(3, one())])
    (assignment,) = made.drain(0.0)
    assert drained(made, 1.0) == [2]
    made.limits.give_back(assignment.taken[assignment.task.id])
    assert drained(made, 1.5) == []


def test_every_attempt_takes_units() -> None:
    made = scheduler(k=state(2))
    made.enqueue([task(1, one())])
    assert drained(made) == [1]
    made.withdraw(UUID(int=1), 0)
    made.enqueue([task(1, one(), retry_count=1)])
    assert drained(made) == [1]
    made.withdraw(UUID(int=1), 1)
    made.enqueue([task(1, one(), retry_count=2)])
    assert drained(made) == []


def test_a_new_task_waits_for_those_who_wait_and_takes_units_like_them() -> None:
    made = scheduler(k=state(2))
    assert [a.task.id.int for a in made.offer([task(n, one()) for n in (1, 2, 3)], 0.0)] == [1, 2]
    made.enqueue([task(3, one())])
    assert drained(made) == []
    assert made.offer([task(4, one())], 1.0) == []
    assert drained(made, 1.0) == [3]
    assert [a.task.id.int for a in made.offer([task(4, one())], 1.0)] == [4]


def test_a_limit_set_again_is_never_refilled_by_that() -> None:
    made = scheduler(k=state(3))
    made.enqueue([task(n, one()) for n in range(1, 9)])
    assert drained(made) == [1, 2, 3]
    made.limits.set("k", state(5, 3))
    assert drained(made, 0.5) == []
    assert drained(made, 1.0) == [4, 5, 6, 7, 8]


def test_a_limit_set_or_resumed_calls_those_who_wait_for_it() -> None:
    made = scheduler(paused=state(1, paused_until=50.0))
    made.enqueue([task(1, one()), task(2, one("paused"))])
    assert drained(made) == []
    made.limits.set("k", state(1))
    assert drained(made) == [1]
    assert made.limits.next_at() == 50.0
    assert drained(made, 50.0) == [2]


def test_a_deleted_limit_is_as_if_it_had_never_been() -> None:
    made = scheduler(k=state(1))
    made.enqueue(
        [task(1, one()), task(2, one()), task(3, brought(1, "mine")), task(4, brought(1, "mine"))]
    )
    assert drained(made) == [1, 3]
    made.limits.unset("k")
    made.limits.unset("mine")
    assert drained(made, 0.5) == [4]
    assert drained(made, 5.0) == []


def test_a_worker_who_is_away_keeps_no_units_from_other_actions() -> None:
    made = scheduler(k=state(1, 0))
    made.enqueue([task(1, one(), action_id="gone")])
    made.upsert_worker(
        UUID(int=101),
        actions=frozenset({"gone"}),
        slots=ONE,
        is_active=True,
        is_paused=False,
        last_heartbeat=0.0,
    )
    made.enqueue([task(2, one())])
    assert drained(made) == []
    made.set_worker_active(UUID(int=101), False)
    assert drained(made, 1.0) == [2]


def test_forgotten_waiters_leave_nothing_behind() -> None:
    made = scheduler(k=state(0))
    made.enqueue([task(n, one()) for n in range(1, 5)])
    drained(made)
    for number in range(1, 5):
        made.discard(UUID(int=number))
    assert made.limits.room_count() == made.limits.parked_count() == made.waiting_count() == 0
    assert made.limits.next_at() is None


def test_limits_that_tasks_brought_along_are_forgotten_when_nobody_uses_them() -> None:
    made = scheduler(k=state(1))
    made.enqueue([task(1, brought(1, "mine"))])
    drained(made)
    made.limits.forget_idle(3_600.0)
    assert made.limits.state("mine")
    made.limits.forget_idle(100_000.0)
    assert made.limits.state("mine") is None
    assert made.limits.state("k")


def item(number: int, *limits: LimitClaim) -> ReadyTask:
    """A task that runs in batches of two."""
    place = BatchPlace(BatchGroup(STEP, "", 2, 5.0, 9), 10)
    return task(number, *limits)._replace(claims=Claims((), 1, 0, batch=place))


def test_items_of_a_batch_take_their_units_before_they_enter_its_buffer() -> None:
    made = scheduler(k=state(3))
    made.enqueue([item(n, one()) for n in range(1, 6)])
    (first,) = made.drain(0.0)
    assert [found.id.int for found in first.tasks] == [1, 2]
    assert {key.int for key in first.taken} == {1, 2}
    left = made.limits.state("k")
    assert left is not None
    assert left.value == 0
    assert made.limits.parked_count() == 2
    assert made.limits.next_at() == 1.0
    made.record_heartbeat(WORKER, 1.0)
    (second,) = made.drain(1.0)
    assert [found.id.int for found in second.tasks] == [3, 4]


def test_an_item_that_leaves_its_buffer_gives_its_units_back() -> None:
    made = scheduler(k=state(1))
    made.enqueue([item(1, one()), item(2, one())])
    assert drained(made) == []
    made.withdraw(UUID(int=1), 0)
    drained(made)
    assert made.limits.parked_count() == 0


# Whatever happens

KEYS = ("k", "m")
wanted_limits = st.lists(
    st.builds(
        LimitClaim,
        st.sampled_from((*KEYS, "mine")),
        st.integers(0, 4),
        st.none(),
    )
    | st.builds(LimitClaim, st.just("mine"), st.integers(0, 4), st.just(3), st.just(SECOND)),
    max_size=3,
    unique_by=lambda claim: claim.key,
)
new_tasks = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 3), wanted_limits), min_size=1, max_size=6
)


class LimitsAgainstModel(RuleBasedStateMachine):
    """Counts per key and window what assignments that were written took; plays the refusals, too."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.last = 0.0, 0
        self.made = scheduler(slots=5)
        self.queued: dict[UUID, ReadyTask] = {}
        self.running: dict[UUID, ReadyTask] = {}
        self.limits: dict[str, int] = {}
        self.paused: dict[str, float] = {}
        self.taken: dict[tuple[str, float], int] = defaultdict(int)
        self.most: dict[tuple[str, float], int] = {}

    def write(self, assignments: Sequence[Assignment], is_written: bool) -> None:
        for assignment in assignments:
            found = assignment.task
            units = assignment.taken.get(found.id, ())
            assert {taken.key for taken in units} == {claim.key for claim in found.limits}
            if not is_written:
                self.made.withdraw(found.id, found.retry_count)
                self.made.limits.give_back(units)
                continue
            del self.queued[found.id]
            self.running[found.id] = found
            for taken in units:
                assert self.paused.get(taken.key, 0.0) <= self.now
                window = (taken.key, taken.since)
                self.taken[window] += taken.units
                self.most[window] = max(self.most.get(window, 0), taken.limit)

    def drain(self, is_written: bool = True) -> None:
        self.made.record_heartbeat(WORKER, self.now)
        self.write(self.made.drain(self.now), is_written)
        if not is_written:
            self.made.enqueue(list(self.queued.values()))

    @rule(wanted=new_tasks, is_offered=st.booleans())
    def trigger(self, wanted: list[tuple[str, int, list[LimitClaim]]], is_offered: bool) -> None:
        new = []
        for action_id, priority, limits in wanted:
            self.last += 1
            new.append(task(self.last, *limits, action_id=action_id, priority=priority))
        self.queued.update({found.id: found for found in new})
        if is_offered:
            self.made.record_heartbeat(WORKER, self.now)
            self.write(self.made.offer(new, self.now), True)
        self.made.enqueue([found for found in new if found.id in self.queued])

    @rule(is_written=st.booleans())
    def decide(self, is_written: bool) -> None:
        self.drain(is_written)

    @rule(seconds=st.sampled_from([0.2, 0.995, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=st.sampled_from(KEYS), limit=st.integers(0, 5))
    def put(self, key: str, limit: int) -> None:
        known = self.made.limits.state(key)
        self.limits[key] = limit
        since = known.since if known else self.now
        self.made.limits.set(key, LimitState(limit, SECOND, limit, since, self.paused.get(key)))

    @precondition(lambda self: self.limits)
    @rule(data=st.data(), seconds=st.sampled_from([0.5, 2.0]))
    def pause(self, data: st.DataObject, seconds: float) -> None:
        key = data.draw(st.sampled_from(sorted(self.limits)))
        until = max(self.paused.get(key, 0.0), self.now + seconds)
        self.paused[key] = until
        known = self.made.limits.state(key)
        assert known is not None
        self.made.limits.set(key, known._replace(paused_until=until))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), is_retry=st.booleans())
    def end(self, data: st.DataObject, is_retry: bool) -> None:
        ended = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        self.made.withdraw(ended.id, ended.retry_count)
        if is_retry:
            again = ended._replace(retry_count=ended.retry_count + 1, priority=4)
            self.queued[again.id] = again
            self.made.enqueue([again])

    @precondition(lambda self: self.queued)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        found = self.queued.pop(data.draw(st.sampled_from(sorted(self.queued))))
        self.made.withdraw(found.id, found.retry_count)

    @invariant()
    def no_window_gives_out_more_than_it_holds(self) -> None:
        for window, units in self.taken.items():
            assert units <= self.most[window]

    @invariant()
    def everybody_is_known(self) -> None:
        assert {found.id for found in self.made.waiting()} == set(self.queued)
        assert self.made.limits.parked_count() <= len(self.queued)

    def teardown(self) -> None:
        """Time alone brings everybody in who may run: nobody starves, no units leak."""
        self.paused.clear()
        for key in KEYS:
            known = self.made.limits.state(key)
            self.made.limits.set(key, LimitState(5, SECOND, 5, known.since if known else 0.0))
        for _ in range(200):
            self.drain()
            for found in list(self.running.values()):
                self.made.withdraw(found.id, found.retry_count)
            self.running.clear()
            self.drain()
            at = self.made.limits.next_at()
            if at is None and not self.running:
                break
            self.now = max(self.now, at or 0.0)
        left = [
            found
            for found in self.queued.values()
            if found.action_id != "c"
            and not any(c.key == "mine" and (c.limit is None or c.units > 3) for c in found.limits)
        ]
        assert not left


TestLimitsAgainstModel = LimitsAgainstModel.TestCase
TestLimitsAgainstModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


scenes = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 3), wanted_limits), min_size=1, max_size=12
)


@given(wanted=scenes, slots=st.integers(0, 6), limit=st.integers(0, 5), later=st.floats(0, 3))
def test_the_explanation_predicts_the_next_decision(
    wanted: list[tuple[str, int, list[LimitClaim]]], slots: int, limit: int, later: float
) -> None:
    """Who waits after a decision for a reason is not assigned by the next one; what goes is explained
    by nothing.
    """
    made = scheduler(slots, k=state(limit), m=state(2, 1))
    tasks = [
        task(number, *limits, action_id=action_id, priority=priority)
        for number, (action_id, priority, limits) in enumerate(wanted, 1)
    ]
    made.enqueue(tasks)
    gone = {assignment.task.id for assignment in made.drain(0.0)}
    waiting = [found for found in tasks if found.id not in gone]
    for found in waiting:
        assert made.explain(found, 0.0) is not None
    assert made.drain(0.0) == []
    made.record_heartbeat(WORKER, later)
    reasons = {found.id: made.explain(found, later) for found in waiting}
    next_ids = {assignment.task.id for assignment in made.drain(later)}
    set_meanwhile = {claim.key for t in waiting for claim in t.limits if claim.limit is not None}
    for found in waiting:
        unset = {claim.key for claim in found.limits if claim.limit is None}
        reason = reasons[found.id]
        if reason is None:
            assert found.id in next_ids or len(found.limits) > 0
        elif (
            reason.obstacle is Obstacle.RATE_LIMITED
            and not reason.ahead
            and not unset & set_meanwhile
        ):
            assert found.id not in next_ids
