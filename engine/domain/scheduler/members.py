"""Who asks for slots of concurrency groups: tasks for themselves, and runs for all their tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.domain.assignment import Claim, Claims, ReadyTask, RunClaims

if TYPE_CHECKING:
    from engine.domain.scheduler.group import Group

Place = tuple[int, int, "Member"]
"""Where somebody stands in a line: by negative rank, then by key."""


class Member:
    """Who asks for slots. It holds those of the first groups of its chain, `held`.

    It knows the groups themselves, as to look one up by its id costs more than all else.
    """

    __slots__ = ("held", "is_leaving", "place", "turn", "waits_for")

    def __init__(self, turn: int) -> None:
        self.turn = turn
        """Greater for who came to where it stands now later: where nobody is cancelled, the least goes on."""
        self.held: list[Group] = []
        self.waits_for: Group | None = None
        """The group in whose line it stood last."""
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
    def next_claim(self) -> Claim:
        """What it asks for next; it has not all it asks for."""
        return self.asked.chain[len(self.held)]

    @property
    def has_all(self) -> bool:
        return len(self.held) == len(self.asked.chain)


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

    @property
    def is_withdrawn(self) -> bool:
        """Whether its cancellation was decided, or its run's."""
        return self.is_leaving or (self.run is not None and self.run.is_leaving)

    def is_of_same_run(self, task: ReadyTask) -> bool:
        """Whether a new attempt belongs to the run which the member knows, not to a replay of it."""
        claims = task.claims
        if claims is None or claims.run is None:
            return True
        return self.run is not None and self.run.claims.arrival == claims.run.arrival

    def admit(self) -> ReadyTask:
        """Return the task as it enters its queue: after those who were admitted before it."""
        if self.turn != self.key:
            self.task = self.task.with_turn(self.turn)
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
