"""Rate limits of the scheduler against a plain model of them, whatever happens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.domain.assignment import Obstacle, ReadyTask
from engine.domain.rate_limits import LimitClaim, LimitState
from engine.domain.scheduler.machine import Assignment
from tests.unit.limits import (
    SECOND,
    WORKER,
    scheduler,
    state,
    task,
)

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
        self.made.workers.record_heartbeat(WORKER, self.now)
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
            self.made.workers.record_heartbeat(WORKER, self.now)
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
    made.workers.record_heartbeat(WORKER, later)
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
