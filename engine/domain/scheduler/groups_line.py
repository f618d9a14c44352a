"""One concurrency group: its limit, who holds its slots, and the line of those who wait for one."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from uuid import UUID

from engine.domain.assignment import Claim, Claims, ReadyTask, RunClaims, SharedStrategy
from engine.states import ConcurrencyStrategy

_MOST_GARBAGE = 16
"""Places that nobody takes any more are cleared out once they are more than this, and half the line."""

Place = tuple[int, int, "Member"]


class Member:
    """Who asks for slots. It holds those of the first `held` groups of its chain."""

    __slots__ = ("held", "is_leaving", "place", "turn")

    def __init__(self, turn: int) -> None:
        self.turn = turn
        """Greater for who came to where it stands now later: where nobody is cancelled, the least goes on."""
        self.held = 0
        self.is_leaving = False
        """Its cancellation was decided: it waits for nothing, and holds its slots until it ends."""
        self.place: Place | None = None
        """Where it stands in the line of the group whose slot it needs next."""

    def __lt__(self, other: Member) -> bool:
        """Places of one member may be equal in all else; which comes first does not matter."""
        return False

    @property
    def key(self) -> int:
        raise NotImplementedError

    @property
    def asked(self) -> Claims | RunClaims:
        raise NotImplementedError

    @property
    def priority(self) -> int:
        raise NotImplementedError

    @property
    def has_begun(self) -> bool:
        """Whether it was let through before, and gave its slots up for a while: it is no newcomer."""
        raise NotImplementedError

    @property
    def chain(self) -> tuple[Claim, ...]:
        return self.asked.chain

    @property
    def has_all(self) -> bool:
        return self.held == len(self.asked.chain)


class TaskMember(Member):
    """A task that asks for itself."""

    __slots__ = ("is_pending", "run", "task")

    def __init__(self, task: ReadyTask) -> None:
        super().__init__(task.id.int)
        self.task = task
        self.run: RunMember | None = None
        self.is_pending = False
        """It asks for nothing before its run holds all its slots."""

    @property
    def key(self) -> int:
        return self.task.id.int

    @property
    def asked(self) -> Claims:
        assert self.task.claims is not None
        return self.task.claims

    @property
    def priority(self) -> int:
        return self.task.priority

    @property
    def has_begun(self) -> bool:
        return self.task.has_begun

    @property
    def is_resting(self) -> bool:
        return self.task.is_resting

    def admit(self) -> ReadyTask:
        """Return the task as it enters its queue: after those who were admitted before it."""
        if self.turn != self.key:
            self.task = self.task._replace(admitted=self.turn)
        return self.task


class RunMember(Member):
    """A run that asks on behalf of all its tasks; `tasks` are those which are known to wait or to run."""

    __slots__ = ("claims", "tasks")

    def __init__(self, claims: RunClaims) -> None:
        super().__init__(claims.id)
        self.claims = claims
        self.tasks: dict[int, TaskMember] = {}

    @property
    def key(self) -> int:
        return self.claims.id

    @property
    def asked(self) -> RunClaims:
        return self.claims

    @property
    def priority(self) -> int:
        return self.claims.priority

    @property
    def has_begun(self) -> bool:
        """Never while it waits: a run that has begun holds its slots until it ends."""
        return False


def as_task(member: Member) -> TaskMember:
    assert isinstance(member, TaskMember)
    return member


class Group:
    """The members of one key of one strategy. Nobody waits while a slot is free, once settled."""

    __slots__ = (
        "_counts_priority",
        "_garbage",
        "_limit_from",
        "_places",
        "holders",
        "limit",
        "resting",
        "shared",
        "strategy",
    )

    def __init__(self, claim: Claim, shared: SharedStrategy | None) -> None:
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
        member.place = (-self.rank(member), member.key, member)
        heappush(self._places, member.place)

    def leave_line(self, member: Member) -> None:
        member.place = None
        self._garbage += 1
        if self._garbage > _MOST_GARBAGE and self._garbage * 2 > len(self._places):
            self._places = [place for place in self._places if place[2].place is place]
            self._garbage = 0
            heapify(self._places)

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


class Endings:
    """What ended while rows were read: it may still be in the answer."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[int, int] | None = None
        """The last retry count of tasks, and the last arrival of runs."""

    def watch(self) -> None:
        self._last = {}

    def forget(self) -> None:
        self._last = None

    def note(self, task_or_run: UUID, number: int) -> None:
        if self._last is not None:
            key = task_or_run.int
            self._last[key] = max(number, self._last.get(key, -1))

    def cover(self, task: ReadyTask) -> bool:
        """Whether this attempt, or its run, ended since the reading began."""
        if not self._last:
            return False
        run = task.claims.run if task.claims is not None else None
        return self._last.get(task.id.int, -1) >= task.retry_count or (
            run is not None and self._last.get(run.id, -1) >= run.arrival
        )
