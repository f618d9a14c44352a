"""One concurrency group: its limit, who holds its slots, and the line of those who wait for one."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from engine.domain.assignment import Claim, SharedStrategy
from engine.domain.scheduler.members import Member, Place
from engine.states import ConcurrencyStrategy

_MOST_GARBAGE = 16
"""Places that nobody takes any more are cleared out once they are more than this, and half the line."""


class Group:
    """The members of one key of one strategy. Nobody waits while a slot is free, once settled."""

    __slots__ = (
        "_counts_priority",
        "_garbage",
        "_limit_from",
        "_places",
        "holders",
        "id",
        "limit",
        "resting",
        "shared",
        "strategy",
    )

    def __init__(self, claim: Claim, shared: SharedStrategy | None) -> None:
        self.id = claim.group
        self.shared: SharedStrategy | None = None
        self.limit, self.strategy = claim.max_runs, claim.strategy
        self._counts_priority = claim.counts_priority
        self._limit_from = -1
        """The arrival of who brought the limit, where each brings one."""
        self.holders: dict[int, Member] = {}
        self.resting: dict[int, Member] = {}
        """Who will ask for a slot again when a back-off ends."""
        self._places: list[Place] = []
        self._garbage = 0
        if shared is not None:
            self.share(shared)

    # The limit

    def share(self, shared: SharedStrategy) -> None:
        """Follow what was registered for the whole tenant."""
        if not (shared.is_computed and self.shared and self.shared.is_computed):
            self.limit, self._limit_from = shared.max_runs, -1
        self.shared = shared
        if self.strategy is not shared.strategy:
            self.strategy = shared.strategy
            self._line_up_again()

    def limit_with(self, claim: Claim, arrival: int) -> int:
        """Return the limit once somebody with this claim has come."""
        if self.shared is not None and not self.shared.is_computed:
            return self.limit
        if claim.is_computed:
            return claim.max_runs if arrival >= self._limit_from else self.limit
        return self.limit if self.shared is not None else claim.max_runs

    def take_limit(self, claim: Claim, arrival: int) -> None:
        self.limit = self.limit_with(claim, arrival)
        if claim.is_computed:
            self._limit_from = max(self._limit_from, arrival)

    # The line

    @property
    def waiting_count(self) -> int:
        return len(self._places) - self._garbage

    @property
    def is_empty(self) -> bool:
        return not self.holders and not self.resting and not self.waiting_count

    def waiting(self) -> list[Member]:
        return [place[2] for place in self._places if place[2].place is place]

    def newcomers(self) -> list[Member]:
        """Return who waits and has not begun."""
        return [member for member in self.waiting() if not member.has_begun]

    def may_be_joined(self, limit: int) -> bool:
        """Whether one more may have a slot, if the limit is this, without anything to be decided first."""
        is_outdoing = self.strategy is ConcurrencyStrategy.CANCEL_IN_PROGRESS and self.resting
        return not is_outdoing and not self.waiting_count and len(self.holders) < limit

    def rank(self, member: Member) -> int:
        """Return the member's rank here; greater is better."""
        if self.strategy is not ConcurrencyStrategy.CANCEL_IN_PROGRESS:
            return (member.priority << 128) - member.turn
        asked = member.asked
        return ((asked.priority if self._counts_priority else 0) << 128) + asked.arrival

    def line_up(self, member: Member) -> None:
        member.waits_for = self
        member.place = (-self.rank(member), member.key, member)
        heappush(self._places, member.place)

    def leave_line(self, member: Member) -> None:
        member.place = None
        self._garbage += 1
        if self._garbage > _MOST_GARBAGE and self._garbage * 2 > len(self._places):
            self._places = [place for place in self._places if place[2].place is place]
            self._garbage = 0
            heapify(self._places)

    def give_slot(self, member: Member) -> None:
        """Give a slot to a member whose next group this is."""
        self.holders[member.key] = member
        member.held.append(self)

    def take_first(self) -> Member:
        """Take the best out of the line; somebody waits."""
        while True:
            place = heappop(self._places)
            member = place[2]
            if member.place is place:
                member.place = None
                return member
            self._garbage -= 1

    def _line_up_again(self) -> None:
        waiting = self.waiting()
        self._places.clear()
        self._garbage = 0
        for member in waiting:
            self.line_up(member)
