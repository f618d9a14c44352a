"""Rate limits: what is left of each key, and who waits for more.

A task takes its units when it is assigned, of all its keys or of none. One that cannot leaves its queue,
so that it stands in nobody's way, and waits in the room of the key that refuses it longest; the room calls
it back into its queue when there are units again, the best first and no more than there are units for.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import NamedTuple

from engine.domain.assignment import Needs, Obstacle, ReadyTask, Reason, needs_of, score_of
from engine.domain.rate_limits import (
    IDLE_SECONDS,
    LimitClaim,
    LimitClaims,
    LimitState,
    Refusal,
    Taken,
    claims_key,
    refusal_of,
    seen_by,
)

LOOK_PAST = 100
"""How many tasks of a line that want more than is left a room looks past for one that wants less. Those
that want more than there ever is do not count: they stay until the limit changes."""

LineKey = tuple[str, Needs]
"""Tasks which the same workers may take: none of another line waits because of one that finds no worker."""


class Refused(NamedTuple):
    """A task that has to wait for units now, having not waited before in this attempt."""

    task: ReadyTask
    refusal: Refusal


class _Line:
    """Tasks of one line in one room: those that wait, best last, and the units of those called back."""

    __slots__ = ("called", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[int, int]] = []
        """(score, task)"""
        self.called: dict[int, int] = {}


_Place = tuple[ReadyTask, str, _Line]
"""Who waits, for which key, and in which line of its room."""


class _Room:
    """Everybody who waits for one key. It looks again at `wakes_at`."""

    __slots__ = ("lines", "wakes_at")

    def __init__(self) -> None:
        self.lines: dict[LineKey, _Line] = defaultdict(_Line)
        self.wakes_at: float | None = None


class RateLimits:
    """All rate limits of a tenant, as far as anybody uses them.

    Units taken are counted here first and written with the assignment; what is not written is given
    back. Every task that waits is in memory.
    """

    def __init__(self) -> None:
        self._states: dict[str, LimitState] = {}
        self._rooms: dict[str, _Room] = {}
        self._parked: dict[int, _Place] = {}
        """Tasks that wait."""
        self._called: dict[int, _Place] = {}
        """Tasks that were called back and have not got their units yet."""
        self._arrived: dict[int, ReadyTask] = {}
        self._reported: dict[int, int] = {}
        """Attempts that wait and of which `take_refused` told: task and retry count."""
        self._refused: list[Refused] = []
        self._alarms: list[tuple[float, str]] = []
        self._unsettled: dict[str, None] = {}

    # What is known

    def set(self, key: str, state: LimitState) -> None:
        """Take a key's settings from its row. What was taken within the present window stays taken."""
        known = self._states.get(key)
        if known is not None and known.since >= state.since:
            value = min(known.value, state.limit)
            state = state._replace(value=value, since=known.since)
        self._states[key] = state
        self._unsettled[key] = None

    def unset(self, key: str) -> None:
        """The key's row is gone."""
        self._states.pop(key, None)
        self._unsettled[key] = None

    def known_settings(self) -> list[str]:
        """Return the keys whose limits clients set, or that are paused."""
        return [
            key
            for key, state in self._states.items()
            if not state.is_dynamic or state.paused_until is not None
        ]

    def forget_idle(self, now: float) -> None:
        """Drop limits that tasks brought along and nobody has used since long before their window's end."""
        idle = [
            key
            for key, state in self._states.items()
            if state.is_dynamic
            and state.ends_at() + IDLE_SECONDS < now
            and (state.paused_until or 0.0) < now
            and key not in self._rooms
        ]
        for key in idle:
            del self._states[key]

    # Decisions

    def refusal(self, claims: LimitClaims, now: float) -> Refusal | None:
        """Return what keeps a task from taking its units, the longest such thing; None if nothing does."""
        worst: Refusal | None = None
        for claim in claims:
            refusal = refusal_of(claim, self._states.get(claim.key), now)
            if refusal is not None and (worst is None or _length(refusal) > _length(worst)):
                worst = refusal
        return worst

    def has_waiters(self, claims: LimitClaims) -> bool:
        """Whether others wait for units of these keys: a new task's turn is after theirs."""
        return bool(self._rooms) and any(claim.key in self._rooms for claim in claims)

    def take(self, task: ReadyTask, now: float) -> tuple[Taken, ...]:
        """Take the units of a task that nothing refuses."""
        if not task.due_limits:
            return ()
        self._reported.pop(task.id.int, None)
        self._leave(task.id.int, is_served=True)
        takings = []
        for claim in task.due_limits:
            known = self._states.get(claim.key)
            state = seen_by(claim, known, now)
            assert state is not None
            if (known is None or known.since != state.since) and claim.key in self._rooms:
                self._unsettled[claim.key] = None  # a window began before its alarm went off
            self._states[claim.key] = state._replace(value=state.value - claim.units)
            takings.append(
                Taken(
                    claim.key, claim.units, state.since, state.limit, state.window, state.is_dynamic
                )
            )
        return tuple(takings)

    def give_back(self, takings: Iterable[Taken]) -> None:
        """Undo takings that were not written; those of windows that are over mean nothing any more."""
        for taken in takings:
            state = self._states.get(taken.key)
            if state is not None and state.since == taken.since:
                value = min(state.value + taken.units, state.limit)
                self._states[taken.key] = state._replace(value=value)
                self._unsettled[taken.key] = None

    def park(self, task: ReadyTask, refusal: Refusal) -> None:
        """Let a task wait that was refused; it is in no queue."""
        key, name = task.id.int, refusal.claim.key
        self._leave(key)
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Room()
        line = room.lines[(task.action_id, needs_of(task))]
        insort(line.waiting, (score_of(task), key))
        self._parked[key] = (task, name, line)
        self._wake_room(name, room, refusal.until)
        if self._reported.get(key) != task.retry_count:
            self._reported[key] = task.retry_count
            self._refused.append(Refused(task, refusal))

    def settle(self, now: float) -> list[ReadyTask]:
        """Return the tasks that are called back into their queues, the best first."""
        if not (self._unsettled or self._alarms or self._arrived):
            return []
        while self._alarms and self._alarms[0][0] <= now:
            at, key = heappop(self._alarms)
            room = self._rooms.get(key)
            if room is not None and room.wakes_at == at:
                room.wakes_at = None
                self._unsettled[key] = None
        called = list(self._arrived.values())
        self._arrived.clear()
        while self._unsettled:
            key, _ = self._unsettled.popitem()
            if room := self._rooms.get(key):
                self._call(key, room, now, called)
        called.sort(key=score_of, reverse=True)
        return called

    def arrive(self, task: ReadyTask) -> None:
        """Take note of a task that is in no queue and wants its units as soon as there are any."""
        self._arrived[task.id.int] = task

    def forget(self, key: int) -> bool:
        """Forget a task that waits, or was called back; whether it waited here and in no queue."""
        self._reported.pop(key, None)
        is_parked = key in self._parked or self._arrived.pop(key, None) is not None
        self._leave(key)
        return is_parked

    def take_refused(self) -> list[Refused]:
        """Return, once, the attempts that began to wait."""
        refused, self._refused = self._refused, []
        return refused

    def next_at(self) -> float | None:
        """Return when somebody may get units that time brings."""
        while self._alarms:
            at, key = self._alarms[0]
            room = self._rooms.get(key)
            if room is not None and room.wakes_at == at:
                return at
            heappop(self._alarms)
        return None

    # Questions

    def explain(self, task: ReadyTask, now: float) -> Reason | None:
        """Return why a task that waits here would not be called back now."""
        found = self._parked.get(task.id.int)
        if found is None:
            return None
        _, key, line = found
        place = bisect_left(line.waiting, (score_of(task), task.id.int))
        claim = claims_key(task.limits, key)
        before = [self._parked[number][0] for _, number in line.waiting[place + 1 :]]
        units = sum(line.called.values())
        units += sum(claims_key(other.limits, key).units for other in before)
        wanted = claim._replace(units=claim.units + units)
        refusal = self.refusal(task.limits, now) or self._refusal_of(claim, wanted, now)
        if refusal is None:
            return None
        return Reason(Obstacle.RATE_LIMITED, ahead=len(before), refusal=refusal)

    def state(self, key: str) -> LimitState | None:
        return self._states.get(key)

    def parked_count(self) -> int:
        return len(self._parked)

    def room_count(self) -> int:
        return len(self._rooms)

    # Parts

    def _call(self, key: str, room: _Room, now: float, called: list[ReadyTask]) -> None:
        until: float | None = None
        for line in room.lines.values():
            reserved = sum(line.called.values())
            looked_past = 0
            at = len(line.waiting) - 1
            while at >= 0 and looked_past < LOOK_PAST:
                number = line.waiting[at][1]
                task = self._parked[number][0]
                claim = claims_key(task.limits, key)
                wanted = claim._replace(units=claim.units + reserved) if reserved else claim
                refusal = self._refusal_of(claim, wanted, now)
                if refusal is None:
                    del line.waiting[at]
                    self._called[number] = self._parked.pop(number)
                    line.called[number] = claim.units
                    reserved += claim.units
                    called.append(task)
                elif refusal.until is not None:
                    looked_past += 1
                    until = refusal.until if until is None else min(until, refusal.until)
                    if refusal.state is None or refusal.state.value <= reserved:
                        break
                at -= 1
        self._wake_room(key, room, until)
        self._close(key)

    def _refusal_of(self, claim: LimitClaim, wanted: LimitClaim, now: float) -> Refusal | None:
        """Judge what is `wanted` together with those called before; alone it may be more than there ever is."""
        known = self._states.get(claim.key)
        refusal = refusal_of(wanted, known, now)
        if refusal is None or refusal.state is None or refusal.until is not None:
            return refusal
        alone = refusal_of(claim, known, now)
        return refusal._replace(until=refusal.state.ends_at()) if alone is None else alone

    def _wake_room(self, key: str, room: _Room, until: float | None) -> None:
        if until is not None and (room.wakes_at is None or until < room.wakes_at):
            room.wakes_at = until
            heappush(self._alarms, (until, key))

    def _leave(self, key: int, *, is_served: bool = False) -> None:
        """Take a task out of the room it waits in, or was called back from."""
        if found := self._parked.pop(key, None):
            task, name, line = found
            del line.waiting[bisect_left(line.waiting, (score_of(task), key))]
            self._close(name)
        elif found := self._called.pop(key, None):
            _, name, line = found
            del line.called[key]
            if not is_served:
                self._unsettled[name] = None
            self._close(name)

    def _close(self, key: str) -> None:
        """Forget lines and rooms in which nobody is left."""
        room = self._rooms[key]
        for name in [
            name for name, line in room.lines.items() if not line.waiting and not line.called
        ]:
            del room.lines[name]
        if not room.lines:
            del self._rooms[key]


def _length(refusal: Refusal) -> float:
    return float("inf") if refusal.until is None else refusal.until
